import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UnserialisableValueError } from "../../../src/errors.ts";
import type { Ledger, Ledgers } from "../../../src/ledger/index.ts";
import { maxDepth } from "../../../src/store/serialisable.ts";
import { CREDIT, day, LedgerStage, refusal, there, TODAY, transactionOf } from "./ledger-stage.ts";

type Metadata = Readonly<Record<string, unknown>>;

/** The deepest metadata that a ledger takes. */
const DEEPEST = maxDepth - 4;

let stage: LedgerStage;
let ledgers: Ledgers;
let ledger: Ledger;

beforeEach(async () => {
  stage = new LedgerStage();
  ledgers = await stage.ledgers();
  await ledgers.create("main", { bucket: "eu" });
  ledger = await ledgers.open("main");
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const expiresAt = day(TODAY + 10);

/** A map with so many levels in all, itself included. */
function nested(levels: number): Metadata {
  let value: unknown = 1n;
  for (let level = 1; level < levels; level++) value = level % 2 === 0 ? { value } : [value];
  return { value };
}

const hold = (metadata?: Metadata) =>
  ledger.hold({ from: "alice", asset, amount: 1n, expiresAt, metadata });

/** Every command that takes metadata, once. */
const commands: readonly (readonly [string, (metadata: Metadata) => Promise<unknown>])[] = [
  ["post", (metadata) => ledger.grant({ to: "alice", asset, amount: 5n, metadata })],
  ["hold", hold],
  ["capture", async (metadata) => ledger.capture((await hold()).id, 1n, { metadata })],
  [
    "revert",
    async (metadata) => {
      const { id } = await ledger.grant({ to: "bob", asset, amount: 1n });
      return ledger.revert(id, { metadata });
    },
  ],
  ["setMetadata of an account", (metadata) => ledger.setMetadata({ account: "bob" }, metadata)],
  [
    "setMetadata of a transaction",
    async (metadata) => {
      const { id: transaction } = await ledger.grant({ to: "bob", asset, amount: 1n });
      return ledger.setMetadata({ transaction }, metadata);
    },
  ],
];

describe("metadata that are nested deep", () => {
  it("L2 are taken only as deep as every reader of the journal can go", async () => {
    await ledger.grant({ to: "alice", asset, amount: 100n });
    for (const [, run] of commands) {
      for (let levels = DEEPEST + 1; levels <= maxDepth + 1; levels++)
        expect(await refusal(run(nested(levels)))).toBeInstanceOf(UnserialisableValueError);
      await run(nested(DEEPEST));
    }
    const other = await stage.other();
    expect(other.version).toBe(ledger.version);
    expect(await other.balance("alice", asset)).toBe(104n);
    const { items } = await other.transactions({ account: "alice" });
    expect(there(items[1]).metadata).toEqual(nested(DEEPEST));
    expect(await other.check()).toMatchObject({ outcome: "clean" });
  });

  it("L2 come back from a snapshot as deep as they may be", async () => {
    await ledgers.close();
    ledgers = await stage.ledgers({ snapshotEveryEntries: 1 });
    ledger = await ledgers.open("main");
    await ledger.setMetadata({ account: "alice" }, nested(DEEPEST));
    const granted = await ledger.grant({ to: "alice", asset, amount: 1n });
    await ledgers.close();
    const next = await (await stage.ledgers()).open("main");
    expect((await next.account("alice"))?.metadata).toEqual(nested(DEEPEST));
    expect((await transactionOf(next, granted)).metadata).toEqual({});
    const report = await next.check();
    expect(report).toMatchObject({ outcome: "clean", snapshotVersion: ledger.version });
  });
});
