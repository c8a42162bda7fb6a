import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DRAIN_POLICIES } from "../../src/ledger/account.ts";
import { decodeEntry, joinPieces, packEntries } from "../../src/ledger/journal-codec.ts";
import type {
  AccountChangedEntry,
  Captured,
  Details,
  DrainedPart,
  HoldPlacedEntry,
  HoldReleasedEntry,
  JournalEntry,
  MadeLot,
  MetadataChangedEntry,
  OpenedEntry,
  PostedEntry,
  PostingEntry,
} from "../../src/ledger/journal-entry.ts";
import { bytesAtMost } from "../../src/ledger/decide-postings.ts";
import { prepareMetadata } from "../../src/ledger/prepare.ts";
import { assemblePayload, decodePayload } from "../../src/store/payload.ts";

const record = <Of>(fields: { [Name in keyof Of]: fc.Arbitrary<Of[Name]> }): fc.Arbitrary<Of> =>
  fc.record(fields, { noNullPrototype: true });
const EDGE = 2n ** 53n;
const LIMIT = 2n ** 127n;
const NONE = { nil: undefined };
const amount = fc.oneof(
  fc.bigInt(1n, 1_000n),
  fc.bigInt(EDGE - 2n, EDGE + 2n),
  fc.bigInt(LIMIT - 2n, LIMIT - 1n),
);
const orNothing = fc.oneof(fc.constant(0n), amount);
const limit = fc.option(fc.oneof(orNothing, fc.constant(LIMIT * LIMIT)), NONE);
const number = fc.oneof(fc.nat(3), fc.nat(), fc.maxSafeNat());
const instant = fc.date({ noInvalidDate: true }).map((date) => date.getTime());
const expiry = fc.option(instant);
const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const account = fc.constantFrom("a", "users:alice", `long:${"x".repeat(250)}`, "world");
const asset = fc.constantFrom("GOLD", "EUR/2");
const flag = fc.boolean();
const details = fc.dictionary(
  text.filter((key) => key !== "__proto__"),
  fc.oneof(
    text,
    fc.integer(),
    fc.bigInt(),
    flag,
    fc.constant(null),
    fc.array(text),
    fc.constant({}),
  ),
  { maxKeys: 4, noNullPrototype: true },
);
const metadata: fc.Arbitrary<Details | undefined> = fc.option(details, NONE);
const reference = record({ position: number, index: number, version: number });
const common = {
  decidedAt: instant,
  key: fc.option(text, NONE),
  content: fc.option(number, NONE),
};

const drained: fc.Arbitrary<DrainedPart[]> = fc.array(
  record({ version: number, lotIndex: number, amount, expiresAt: expiry }),
  { maxLength: 20 },
);
const made: fc.Arbitrary<MadeLot[]> = fc.array(
  record({ lotIndex: number, amount, expiresAt: expiry }),
  { maxLength: 20 },
);
const sides = fc.oneof(
  record({
    drained: fc.option(drained, NONE),
    borrowed: orNothing,
    made,
    repaid: orNothing,
  }),
  record({
    drained: fc.option(drained, NONE),
    borrowed: orNothing,
    made: fc.constant(undefined),
    repaid: fc.constant(0n),
  }),
);
const posting: fc.Arbitrary<PostingEntry> = fc
  .tuple(
    record({ source: account, destination: account, asset, amount: orNothing }),
    fc.option(amount, NONE),
    sides,
  )
  .map(([moved, asked, sides]) => ({ ...moved, asked: asked ?? moved.amount, ...sides }));

/** With its own time now and then, else with that of the decision. */
function effective<Entry extends { readonly decidedAt: number }>(
  entry: fc.Arbitrary<Entry>,
): fc.Arbitrary<Entry & { readonly at: number }> {
  return fc
    .tuple(entry, fc.option(instant, NONE))
    .map(([entry, at]) => ({ ...entry, at: at ?? entry.decidedAt }));
}

const captured: fc.Arbitrary<Captured> = record({
  position: number,
  index: number,
  version: number,
  amount,
  ended: flag,
});
const posted: fc.Arbitrary<PostedEntry> = effective(
  record({
    kind: fc.constant("posted" as const),
    ...common,
    postings: fc.array(posting, { maxLength: 5 }),
    reference: fc.option(text, NONE),
    metadata,
    reverts: fc.option(reference, NONE),
    captures: fc.option(captured, NONE),
  }),
);
const holdPlaced: fc.Arbitrary<HoldPlacedEntry> = effective(
  record({
    kind: fc.constant("hold-placed" as const),
    ...common,
    account,
    asset,
    amount,
    to: account,
    expiresAt: instant,
    reference: fc.option(text, NONE),
    metadata,
  }),
);
const holdReleased: fc.Arbitrary<HoldReleasedEntry> = record({
  kind: fc.constant("hold-released" as const),
  ...common,
  hold: reference,
});
const accountChanged: fc.Arbitrary<AccountChangedEntry> = record({
  kind: fc.constant("account-changed" as const),
  ...common,
  account,
  lots: flag,
  issuer: flag,
  overdraft: limit,
  frozen: flag,
  closed: flag,
});
const metadataChanged: fc.Arbitrary<MetadataChangedEntry> = record({
  kind: fc.constant("metadata-changed" as const),
  ...common,
  of: fc.oneof(account, reference),
  set: details,
  deleted: fc.array(text, { maxLength: 3 }),
});
const opened: fc.Arbitrary<OpenedEntry> = record({
  kind: fc.constant("opened" as const),
  ...common,
  drainPolicy: fc.constantFrom(...DRAIN_POLICIES),
  lots: flag,
  overdraft: limit,
  idempotencyKeys: number,
  seeds: fc.tuple(number, number),
});

const KINDS: readonly (readonly [string, fc.Arbitrary<JournalEntry>])[] = [
  ["a transaction", posted],
  ["a hold", holdPlaced],
  ["the release of a hold", holdReleased],
  ["a change of an account", accountChanged],
  ["a change of metadata", metadataChanged],
  ["the beginning", opened],
];

/** What a commit of pieces says, read back. */
function readBack(pieces: readonly (readonly JournalEntry[])[]): JournalEntry[] {
  const count = pieces.reduce((sum, { length }) => sum + length, 0);
  const body = joinPieces(pieces.map(packEntries), count);
  const { events } = decodePayload(assemblePayload(undefined, body));
  return events.map((event) => decodeEntry(event, 1));
}

describe("an entry of the journal", () => {
  it.each(KINDS)("C9 is read back as it was written: %s", (_name, entry) => {
    fc.assert(
      fc.property(entry, (entry) => {
        assert.deepStrictEqual(readBack([[entry]]), [entry]);
      }),
      { numRuns: 300 },
    );
  });

  it("stands in its place among others, however they were packed", () => {
    const any = fc.oneof(...KINDS.map(([, arbitrary]) => arbitrary));
    const piece = fc.array(any, { minLength: 1, maxLength: 40, size: "max" });
    fc.assert(
      fc.property(fc.array(piece, { minLength: 1, maxLength: 5 }), (pieces) => {
        assert.deepStrictEqual(readBack(pieces), pieces.flat());
      }),
      { numRuns: 100 },
    );
  });

  it("is never larger than it was said to be at most", () => {
    fc.assert(
      fc.property(fc.oneof(posted, holdPlaced, holdReleased), (entry) => {
        const { metadata } = { metadata: undefined, ...entry };
        const { metadataBytes } = prepareMetadata("metadata", metadata);
        const size = packEntries([entry]).length;
        expect(size).toBeLessThanOrEqual(bytesAtMost(entry, metadataBytes));
      }),
      { numRuns: 300 },
    );
  });
});
