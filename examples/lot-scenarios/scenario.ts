import { amountOf, fieldsOf, instantOf, listOf, textOf } from "../lib/json-input.ts";

/** What happens to credits, and what is seen of them then. */
export interface Scenario {
  readonly name: string;
  readonly events: readonly ScenarioEvent[];
  readonly queries: readonly Query[];
}

/** A grant, a spend or a transfer of several items. */
export interface ScenarioEvent {
  readonly type: "grant" | "spend" | "transfer";
  readonly reference: string;
  readonly at: Date;
  readonly items: readonly Item[];
  /** Of a transfer. */
  readonly sender: string;
  /** Accounts that are not drained by what they send. */
  readonly issuers: readonly string[];
}

/** Who gets what of a grant or a transfer, or gives it of a spend. */
export interface Item {
  readonly account: string;
  readonly amount: bigint;
  readonly expiresAt: Date | null;
}

const KINDS = ["balance", "details", "lots", "validateTransfer", "list", "count"] as const;

/** A question, and its answer as the file writes it; `meta.queryKinds` of the file says what it means. */
export interface Query {
  readonly kind: (typeof KINDS)[number];
  readonly account: string;
  readonly asOf: Date;
  readonly amount: bigint;
  readonly minBalance: bigint;
  /** Number of the page that is wanted, from 1. */
  readonly page: number;
  /** Accounts on a page; 0 for all on one. */
  readonly pagination: number;
  readonly expect: unknown;
  /** The answer under the other drain policy. */
  readonly expectExpirationFirst: unknown;
}

/** Reads the form of a file of scenarios. @throws {Error} naming what is not as it must be */
export function parseScenarios(value: unknown): readonly Scenario[] {
  return listOf("scenarios", fieldsOf("file", value)["scenarios"], (where, item) => {
    const { name, events, queries } = fieldsOf(where, item);
    return {
      name: textOf(`${where}.name`, name),
      events: listOf(`${where}.events`, events, parseEvent),
      queries: listOf(`${where}.queries`, queries, parseQuery),
    };
  });
}

function parseEvent(where: string, value: unknown): ScenarioEvent {
  const { type, reference, at, items, sender = "", issuers = [] } = fieldsOf(where, value);
  if (type !== "grant" && type !== "spend" && type !== "transfer")
    throw new Error(`${where}.type: expected grant, spend or transfer, received ${String(type)}`);
  return {
    type,
    reference: textOf(`${where}.reference`, reference),
    at: instantOf(`${where}.at`, at),
    items: listOf(`${where}.items`, items, parseItem),
    sender: textOf(`${where}.sender`, sender),
    issuers: listOf(`${where}.issuers`, issuers, textOf),
  };
}

function parseItem(where: string, value: unknown): Item {
  const { account, amount, expiresAt = null } = fieldsOf(where, value);
  return {
    account: textOf(`${where}.account`, account),
    amount: amountOf(`${where}.amount`, amount),
    expiresAt: expiresAt === null ? null : instantOf(`${where}.expiresAt`, expiresAt),
  };
}

function parseQuery(where: string, value: unknown): Query {
  const fields = fieldsOf(where, value);
  const kind = KINDS.find((known) => known === fields["kind"]);
  if (kind === undefined)
    throw new Error(
      `${where}.kind: expected one of ${KINDS.join(", ")}, received ${String(fields["kind"])}`,
    );
  const number = (name: string): bigint => amountOf(`${where}.${name}`, fields[name] ?? 0);
  const { expect } = fields;
  if (expect === undefined) throw new Error(`${where}.expect: expected an answer`);
  return {
    kind,
    account: textOf(`${where}.account`, fields["account"] ?? ""),
    asOf: instantOf(`${where}.asOf`, fields["asOf"] ?? "1970-01-01"),
    amount: number("amount"),
    minBalance: number("minBalance"),
    page: Number(number("page")),
    pagination: Number(number("pagination")),
    expect,
    expectExpirationFirst: fields["expectExpirationFirst"] ?? expect,
  };
}
