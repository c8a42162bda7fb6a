import { afterEach, beforeEach, expect, it } from "vitest";
import { ClosedError } from "../../../src/index.ts";
import type { Wire } from "../../support/wire.ts";
import { eventually } from "../../support/server.ts";
import { CREDIT, LedgerStage, refusal } from "./ledger-stage.ts";

const NAMES = ["one", "two", "three", "four"];
const GRANT = { to: "alice", asset: CREDIT, amount: 1n };

let stage: LedgerStage;
let wire: Wire;

beforeEach(async () => {
  stage = new LedgerStage();
  wire = await stage.wire();
  const ledgers = await stage.ledgers({ snapshotBucket: false });
  for (const name of NAMES) {
    await ledgers.create(name, { bucket: "eu" });
    await (await ledgers.open(name)).grant(GRANT);
  }
});

afterEach(() => stage[Symbol.asyncDispose]());

it("compares the clock once for all ledgers of a store", async () => {
  const ledgers = await stage.ledgers(
    { snapshotBucket: false, refreshMs: 0 },
    { servers: wire.url },
  );
  await ledgers.open("one");
  wire.reset();
  for (const name of NAMES) await ledgers.open(name);
  expect(wire.count(/STREAM\.INFO/)).toBe(0);
});

it("does not ask for the head of a journal where the store follows", async () => {
  const ledgers = await stage.ledgers(
    { snapshotBucket: false, refreshMs: 10 },
    { servers: wire.url, follow: true },
  );
  const ledger = await ledgers.open("one");
  await ledger.grant(GRANT);
  const other = await stage.ledgers({ snapshotBucket: false, refreshMs: 0 });
  await (await other.open("one")).grant(GRANT);
  await eventually(async () => expect(await ledger.balance("alice", CREDIT)).toBe(3n));
  // the balance is told as soon as the commit is applied; the look that brought it may not be at its end
  await ledger.refresh();
  wire.reset();
  // thirty looks would have been due while the other one opens and writes
  const begun = performance.now();
  while (performance.now() - begun < 300) await (await other.open("two")).grant(GRANT);
  expect(wire.count(/\.journal\.one$/)).toBe(0);
});

it("closes a ledger that is not needed, and opens it anew", async () => {
  const ledgers = await stage.ledgers({ snapshotBucket: false, refreshMs: 0 });
  const ledger = await ledgers.open("one");
  const sent = ledger.grant(GRANT);
  await ledgers.closeLedger("one");
  expect((await sent).replayed).toBe(false);
  expect(await refusal(ledger.grant(GRANT))).toBeInstanceOf(ClosedError);
  expect(
    await refusal(Promise.resolve().then(() => ledger.balance("alice", CREDIT))),
  ).toBeInstanceOf(ClosedError);
  const again = await ledgers.open("one");
  expect(await again.balance("alice", CREDIT)).toBe(2n);
  await again.grant(GRANT);
  await ledgers.closeLedger("two");
});
