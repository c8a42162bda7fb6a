import fc from "fast-check";
import type { AccountOptions } from "../../src/ledger/account.ts";
import type { Expectation, TransactionDetails } from "../../src/ledger/commands.ts";
import type { NaiveCommand } from "./naive-commands.ts";
import type { NaiveLedger } from "./naive-ledger.ts";

/** Accounts of the scripts, and how some of them are opened. */
export const ACCOUNTS = ["a", "b", "c", "sum", "mint", "deep", "free", "low", "world"] as const;
export const ASSETS = ["GOLD", "EUR/2"] as const;
export const OPENED: readonly (readonly [string, AccountOptions])[] = [
  ["sum", { lots: false }],
  ["mint", { issuer: true }],
  ["deep", { overdraft: 30n }],
  ["free", { overdraft: "unlimited" }],
  ["low", { lots: false, overdraft: 20n }],
];

/** A command before it is known when it comes and what is there: instants count from now, others are picked of what there is. */
export type Draft = (now: number, ledger: NaiveLedger) => NaiveCommand;

// those that may owe something more often than others
const account = fc.constantFrom(...ACCOUNTS, "a", "a", "b", "deep", "deep", "free");
const asset = fc.oneof(
  { weight: 5, arbitrary: fc.constant(ASSETS[0]) },
  { weight: 1, arbitrary: fc.constant(ASSETS[1]) },
);
const large = fc.bigInt(2n ** 53n - 2n, 2n ** 70n);
const amount = fc.oneof(
  { weight: 12, arbitrary: fc.bigInt(1n, 25n) },
  { weight: 1, arbitrary: large },
);
const granted = fc.oneof(
  { weight: 9, arbitrary: fc.bigInt(1n, 60n) },
  { weight: 1, arbitrary: large },
);
/** Milliseconds from now. */
const when = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: fc.integer({ min: -60, max: 0 }) },
  { weight: 1, arbitrary: fc.integer({ min: -5, max: 25 }) },
);
const until = fc.oneof(fc.constant(null), fc.integer({ min: -5, max: 80 }));
const rarely = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.oneof({ weight: 6, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
const name = fc.constantFrom("é", "b", "B", "\u{1F600}", "\uFFFD", "a", "ab");
/** In one order by their code units, in another one by any language. */
const named = fc.constantFrom(
  "é",
  "b",
  "B",
  "\u{1F600}",
  "\uFFFD",
  "a",
  "ab",
  "A",
  "z",
  "Z",
  "_",
  "0",
);
const flag = fc.boolean();
const pick = fc.nat(1_000);

const expectation = fc.record({
  version: rarely(fc.constantFrom(0, 0, 0, 1)),
  balance: rarely(fc.record({ account, asset, gte: fc.bigInt(-20n, 40n) })),
});
const options = fc.record({
  idempotencyKey: rarely(name),
  expect: rarely(expectation),
  dryRun: rarely(flag),
});
const details = fc.record({
  at: when,
  reference: fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: named },
  ),
  metadata: rarely(fc.constant({ why: ["because", 1n] })),
});
const funds = fc.record({
  onShortfall: fc.constantFrom(undefined, undefined, "reject", "partial"),
});

type RawOptions = typeof options extends fc.Arbitrary<infer Of> ? Of : never;
type RawDetails = typeof details extends fc.Arbitrary<infer Of> ? Of : never;

function dated<Input extends RawDetails>(
  { at, ...input }: Input,
  now: number,
): Omit<Input, "at"> & TransactionDetails {
  return { ...input, at: at === undefined ? undefined : new Date(now + at) };
}

function ending(now: number, expiresAt: number | null): Date | null {
  return expiresAt === null ? null : new Date(now + expiresAt);
}

function expecting<Of extends RawOptions>(
  { expect, ...options }: Of,
  ledger: NaiveLedger,
): Omit<Of, "expect"> & { readonly expect: Expectation | undefined } {
  if (expect === undefined) return { ...options, expect };
  const { version, balance } = expect;
  return {
    ...options,
    expect: { balance, version: version === undefined ? version : ledger.version + version },
  };
}

const posting = fc
  .record({ source: account, destination: account, asset, amount, expiresAt: until })
  .filter(({ source, destination }) => source !== destination);

const post = fc
  .tuple(details, fc.array(posting, { minLength: 1, maxLength: 4 }), options, funds)
  .map(
    ([details, postings, options, funds]): Draft =>
      (now, ledger) => ({
        does: "post",
        input: {
          ...dated(details, now),
          postings: postings.map((each) => ({ ...each, expiresAt: ending(now, each.expiresAt) })),
        },
        options: { ...expecting(options, ledger), ...funds },
      }),
  );

const grant = fc
  .tuple(details, fc.record({ to: account, asset, amount: granted }), until, options)
  .filter(([, { to }]) => to !== "world")
  .map(
    ([details, input, expiresAt, options]): Draft =>
      (now, ledger) => ({
        does: "grant",
        input: { ...dated(details, now), ...input, expiresAt: ending(now, expiresAt) },
        options: expecting(options, ledger),
      }),
  );

const spend = fc
  .tuple(details, fc.record({ from: account, asset, amount }), options, funds)
  .filter(([, { from }]) => from !== "world")
  .map(
    ([details, input, options, funds]): Draft =>
      (now, ledger) => ({
        does: "spend",
        input: { ...dated(details, now), ...input },
        options: { ...expecting(options, ledger), ...funds },
      }),
  );

const recipients = fc.uniqueArray(fc.record({ account, amount, expiresAt: until }), {
  selector: ({ account }) => account,
  minLength: 1,
  maxLength: 3,
});
const transfer = fc
  .tuple(details, fc.record({ from: account, asset }), recipients, options, funds)
  .filter(([, { from }, to]) => to.every(({ account }) => account !== from))
  .map(
    ([details, input, to, options, funds]): Draft =>
      (now, ledger) => ({
        does: "transfer",
        input: {
          ...dated(details, now),
          ...input,
          to: to.map((each) => ({ ...each, expiresAt: ending(now, each.expiresAt) })),
        },
        options: { ...expecting(options, ledger), ...funds },
      }),
  );

const hold = fc
  .tuple(
    details,
    fc.record({ from: account, to: rarely(account), asset, amount }),
    fc.oneof(fc.constantFrom(5, 10, 15, 20), fc.integer({ min: 0, max: 200 })),
    options,
  )
  .filter(([, { from, to = "world" }]) => from !== "world" && from !== to)
  .map(
    ([details, input, ends, options]): Draft =>
      (now, ledger) => ({
        does: "hold",
        input: { ...dated(details, now), ...input, expiresAt: new Date(now + ends) },
        options: expecting(options, ledger),
      }),
  );

/** One of the entries of a kind, one of all, or none that there is. */
function picked(ledger: NaiveLedger, kind: "posted" | "hold", pick: number): number {
  if (pick % 17 === 0) return (pick % ledger.version) + 1;
  const versions = ledger.versions(kind);
  // the latest ones more often than others
  return versions.at(-1 - (pick % Math.min(versions.length, pick % 3 === 0 ? 40 : 4))) ?? 1_000;
}

const capture = fc
  .tuple(
    pick,
    rarely(fc.bigInt(1n, 20n)),
    details,
    until,
    options,
    fc.record({ to: rarely(account), final: rarely(flag) }),
  )
  .map(
    ([pick, amount, details, expiresAt, options, how]): Draft =>
      (now, ledger) => ({
        does: "capture",
        hold: picked(ledger, "hold", pick),
        amount,
        options: {
          ...dated(details, now),
          ...expecting(options, ledger),
          ...how,
          expiresAt: ending(now, expiresAt),
        },
      }),
  );

const release = fc.tuple(pick, options).map(
  ([pick, options]): Draft =>
    (_now, ledger) => ({
      does: "release",
      hold: picked(ledger, "hold", pick),
      options: expecting(options, ledger),
    }),
);

const revert = fc
  .tuple(pick, rarely(name), options, fc.record({ force: flag, atEffectiveDate: flag }))
  .map(
    ([pick, reference, options, how]): Draft =>
      (_now, ledger) => ({
        does: "revert",
        target: picked(ledger, "posted", pick),
        options: { ...expecting(options, ledger), ...how, reference },
      }),
  );

const change = fc
  .tuple(
    account.filter((name) => name !== "world"),
    fc.record({
      lots: rarely(flag),
      issuer: rarely(flag),
      overdraft: rarely(fc.oneof(fc.bigInt(0n, 50n), fc.constant("unlimited" as const))),
      frozen: fc.constantFrom(undefined, true, false, false),
      closed: rarely(fc.constant(true as const)),
    }),
    options,
  )
  .map(
    ([account, change, options]): Draft =>
      (_now, ledger) => ({
        does: "account",
        account,
        change,
        options: expecting(options, ledger),
      }),
  );

const metadataKey = fc.constantFrom("x", "y", "z");
const metadata = fc
  .tuple(
    fc.oneof(account, pick),
    fc.dictionary(metadataKey, fc.oneof(fc.integer(), fc.bigInt())),
    fc.oneof(fc.constant([]), fc.array(metadataKey, { minLength: 1, maxLength: 2 })),
    options,
  )
  .map(
    ([of, set, deleted, options]): Draft =>
      (_now, ledger) => ({
        does: "metadata",
        of: typeof of === "string" ? of : picked(ledger, of % 5 === 0 ? "hold" : "posted", of),
        // one or the other, as callers can
        set: deleted.length > 0 ? {} : { ...set },
        deleted,
        options: expecting(options, ledger),
      }),
  );

/** Commands that post what they are given. */
export const postings: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 5, arbitrary: grant },
  { weight: 3, arbitrary: spend },
  { weight: 4, arbitrary: transfer },
  { weight: 3, arbitrary: post },
);

/** All commands. */
export const commands: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 15, arbitrary: postings },
  { weight: 3, arbitrary: hold },
  { weight: 3, arbitrary: capture },
  { weight: 1, arbitrary: release },
  { weight: 4, arbitrary: revert },
  { weight: 1, arbitrary: change },
  { weight: 1, arbitrary: metadata },
);
