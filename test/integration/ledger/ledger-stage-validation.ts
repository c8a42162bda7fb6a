import { expect } from "vitest";
import { InvalidArgumentError } from "../../../src/index.ts";
import { refusal } from "./ledger-stage.ts";

/** Wrong values by the rule that they break, and what of the rule the error says. */
export const accounts = [
  "",
  ":",
  "a:",
  ":a",
  "a::b",
  "a b",
  "a/b",
  "\u00e9",
  "x".repeat(256),
  5,
  null,
  undefined,
];
export const assets = [
  "",
  "credit",
  "1A",
  "A".repeat(18),
  "USD/",
  "USD/123",
  "USD/x",
  "U-D",
  5,
  null,
  undefined,
];
export const amounts = [0n, -1n, 1n << 127n, 5, 1.5, "5", null, undefined];
export const instants = ["2026-01-01", 0, new Date(Number.NaN), {}, true];
export const references = ["", "x".repeat(256), "\ud800", 5, null];
export const flags = ["yes", 1, null];
export const objects = [null, 5, "text"];
export const maps = [null, 5, "text", [], new Date(0), new Uint8Array(1)];
export const lists = [null, undefined, 5, {}, []];

type Call = (value: never) => Promise<unknown>;
export interface Field {
  /** The command and the input, as a caller would say it. */
  readonly of: string;
  /** What the error names. */
  readonly argument: string;
  readonly rule: RegExp;
  readonly wrong: readonly unknown[];
  readonly call: Call;
}

export const rules = {
  account: /segments of \[A-Za-z0-9_.-\]\+ joined by colons, at most 255 characters/,
  asset: /\[A-Z\]\[A-Z0-9\]\{0,16\}/,
  amount: /a positive bigint below 2\^127, in minor units/,
  instant: /a valid Date/,
  reference: /well-formed text of 1 to 255 characters/,
  flag: /true or false/,
  object: /an object/,
  map: /a plain object/,
  bigint: /a bigint in minor units/,
};

export function field(
  of: string,
  argument: string,
  rule: RegExp,
  wrong: readonly unknown[],
  call: (value: never) => Promise<unknown>,
): Field {
  return { of, argument, rule, wrong, call };
}

export const withoutUndefined = (values: readonly unknown[]) =>
  values.filter((value) => value !== undefined);

export const ids = [
  "",
  "1",
  "1.",
  ".1",
  "1.1.1",
  "a.b",
  "-1.0",
  "1.0 ",
  5,
  null,
  undefined,
  "99999999999999999.0",
];
export const place = /an id <position>\.<index>/;

/** Each wrong value is refused with an error that names the field, the rule and the value. */
export async function assertRefused({ argument, wrong, rule, call }: Field): Promise<void> {
  for (const value of wrong) {
    // never is what no type allows: callers without types send it
    const error = await refusal((async () => call(value as never))());
    if (!(error instanceof InvalidArgumentError)) throw error;
    expect({ value, argument: error.argument }).toEqual({ value, argument });
    expect(error.message).toMatch(rule);
    expect(error.message).toMatch(/received /);
  }
}
