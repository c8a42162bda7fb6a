import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterEach, beforeEach, expect, it } from "vitest";
import { checkLedger, JournalBrokenError, type Ledger } from "../../../src/ledger/index.ts";
import { backUp } from "../store/stream-backup.ts";
import { CREDIT, LedgerStage, refusal } from "./ledger-stage.ts";

let stage: LedgerStage;

beforeEach(() => {
  stage = new LedgerStage();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** Works on `main` in a process of its own, which leaves a snapshot when it ends. */
async function inProcess<T>(work: (of: Ledger) => Promise<T>, acceptRollback = false): Promise<T> {
  const ledgers = await stage.ledgers({ snapshotEveryEntries: 1, refreshMs: 0, acceptRollback });
  try {
    return await work(await ledgers.open("main"));
  } finally {
    await ledgers.close();
  }
}

async function grants(ledger: Ledger, times: number): Promise<bigint> {
  for (let time = 0; time < times; time++)
    await ledger.grant({ to: "alice", asset: CREDIT, amount: 1n });
  return ledger.balance("alice", CREDIT);
}

/** Puts the stream back to where it was after five of ten grants. */
async function cut(): Promise<void> {
  await (await stage.ledgers()).create("main", { bucket: "eu" });
  await inProcess((ledger) => grants(ledger, 5));
  const nc = await connect({ servers: stage.url });
  try {
    const backup = await backUp(nc, stage.stream);
    await inProcess((ledger) => grants(ledger, 5));
    await (await jetstreamManager(nc)).streams.delete(stage.stream);
    await backup.restore();
  } finally {
    await nc.close();
  }
}

it("C3a does not open a ledger whose tail was cut, and keeps what tells of it", async () => {
  await cut();
  const error = await refusal(inProcess((ledger) => grants(ledger, 1)));
  expect(error).toBeInstanceOf(JournalBrokenError);
  expect(String(error)).toMatch(/its tail was cut.* entry 11, commit .*, and it ends at entry 6/);
  const report = await checkLedger(await stage.store(), "main");
  expect(report).toMatchObject({ outcome: "incomplete", chain: { version: 6, cutBefore: 11 } });
});

it("C3a does not open it either where others have written past that end", async () => {
  await cut();
  expect(await grants(await stage.other(), 8)).toBe(13n);
  const error = await refusal(inProcess((ledger) => grants(ledger, 1)));
  expect(error).toBeInstanceOf(JournalBrokenError);
  expect(String(error)).toMatch(/its tail was cut.* entry 11, commit .* it ends at entry 14/);
});

it("C3a goes on where the rollback is accepted, and from then on without saying so", async () => {
  await cut();
  expect(await inProcess((ledger) => grants(ledger, 0), true)).toBe(5n);
  expect(await inProcess((ledger) => grants(ledger, 1))).toBe(6n);
  expect(await checkLedger(await stage.store(), "main")).toMatchObject({ outcome: "clean" });
});
