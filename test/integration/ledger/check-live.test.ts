import { describe, expect, it, onTestFinished } from "vitest";
import { checkOpenLedger } from "../../../src/ledger/check.ts";
import { LedgerEngine } from "../../../src/ledger/engine.ts";
import { Holding } from "../../../src/ledger/holding.ts";
import type { Ledger } from "../../../src/ledger/index.ts";
import { Journal } from "../../../src/ledger/journal.ts";
import { joinPieces, packEntries } from "../../../src/ledger/journal-codec.ts";
import type { PostedEntry } from "../../../src/ledger/journal-entry.ts";
import { checkStored, filled } from "./check-stage.ts";
import { stateOf } from "./compatibility-journal.ts";
import { CREDIT, LedgerStage, there } from "./ledger-stage.ts";

/** Posts until it is told to stop; returns how much. */
function hammer(ledger: Ledger, name: string): { readonly stop: () => Promise<number> } {
  const over = new AbortController();
  const run = async (worker: number): Promise<number> => {
    let posted = 0;
    for (; !over.signal.aborted; posted++) {
      const reference = `${name}-${worker}-${posted}`;
      const to = `users:${posted % 40}`;
      const options = { idempotencyKey: reference };
      await ledger.grant({ to, asset: CREDIT, amount: 10n, reference }, options);
      const handed = [{ account: `users:${(posted + 1 + (posted % 39)) % 40}`, amount: 3n }];
      await ledger.transfer({ from: to, asset: CREDIT, to: handed });
    }
    return posted;
  };
  const workers = Array.from({ length: 20 }, (_, worker) => run(worker));
  return {
    stop: async () => {
      over.abort();
      return (await Promise.all(workers)).reduce((sum, posted) => sum + posted, 0);
    },
  };
}

describe("a check of a ledger that goes on", () => {
  it("C7 C5 finds nothing while two processes post, each at its own version", async () => {
    const { stage, ledger } = await filled({ snapshotEveryEntries: 200 });
    const other = await stage.other({ snapshotEveryEntries: 200 });
    const writers = [hammer(ledger, "a"), hammer(other, "b")];
    for (let time = 0; time < 4; time++) {
      for (const each of [ledger, other]) {
        const before = each.version;
        const report = await each.check();
        expect(report).toMatchObject({ outcome: "clean", findings: [], chain: { intact: true } });
        expect(report.memoryVersion).toBe(before);
        expect(report.version).toBeGreaterThanOrEqual(before);
      }
      expect(await checkStored(stage)).toMatchObject({ outcome: "clean" });
    }
    const version = Math.max(ledger.version, other.version);
    for (const writer of writers) expect(await writer.stop()).toBeGreaterThan(0);
    expect(Math.max(ledger.version, other.version)).toBeGreaterThanOrEqual(version);
    const last = await checkStored(stage);
    expect(last.outcome).toBe("clean");
    expect(last.snapshotVersion).toBeGreaterThan(100);
  });

  it("C7 C6 finds what was wrong when it began, although it is posted to meanwhile", async () => {
    const stage = new LedgerStage();
    onTestFinished(() => stage[Symbol.asyncDispose]());
    const ledgers = await stage.ledgers({ snapshotBucket: false });
    const info = await ledgers.create("main", { bucket: "eu" });
    const ledger = await ledgers.open("main");
    const writer = hammer(ledger, "a");
    const clock = { now: () => stage.nowMs, maxClockSkewMs: Number.MAX_SAFE_INTEGER };
    const options = { ...clock, snapshotBucket: false as const, refreshMs: 5 };
    const engine = await LedgerEngine.start(await stage.store(), info, options);
    await engine.refresh();
    const cell = there(engine.state.books.accounts.get("users:3")?.holding(CREDIT));
    const { balance, debt, lots, holds } = there(cell.confirmed);
    cell.confirmed = new Holding(balance + 1n, debt, lots, holds);
    const { version } = engine.state.point;
    const report = await checkOpenLedger(engine, {});
    await writer.stop();
    await engine.close();
    expect(report).toMatchObject({ outcome: "findings", findingCount: 1, memoryVersion: version });
    expect(report.findings).toMatchObject([
      { where: "memory", kind: "different", key: `holding users:3 ${CREDIT}` },
    ]);
  });
});

describe("a check of a ledger whose journal no command can have made", () => {
  const POSTED: Omit<PostedEntry, "postings"> = {
    kind: "posted",
    decidedAt: Number.MAX_SAFE_INTEGER,
    at: 0,
    key: undefined,
    content: undefined,
    reference: undefined,
    metadata: undefined,
    reverts: undefined,
    captures: undefined,
  };
  const posting = { source: "world", destination: "eve", asset: CREDIT, amount: 5n, asked: 5n };
  const outcome = { drained: undefined, borrowed: 0n, repaid: 0n };

  /** Appends an entry as a command would, the hash right. */
  async function forge(stage: LedgerStage, entry: PostedEntry): Promise<void> {
    const journal = new Journal(await stage.store(), "main");
    const { point: behind } = await stateOf(journal.store);
    const body = joinPieces([packEntries([entry])], 1);
    await journal.append(body, 1, `forged-${behind.version}`, behind, 5_000);
  }

  it("C1 finds lots that do not come to the balance, and a reference that is there twice", async () => {
    const { stage, ledgers, steps } = await filled({ snapshotBucket: false });
    await ledgers.close();
    const made = [{ lotIndex: 0, amount: 6n, expiresAt: null }];
    await forge(stage, { ...POSTED, postings: [{ ...posting, ...outcome, made }] });
    const right = [{ lotIndex: 0, amount: 5n, expiresAt: null }];
    const good = { ...posting, ...outcome, destination: "adam", made: right };
    await forge(stage, { ...POSTED, postings: [good], reference: "g1" });
    const report = await checkStored(stage);
    expect(report).toMatchObject({ outcome: "findings", chain: { intact: true } });
    const position = steps.last.position;
    expect(report.findings).toMatchObject([
      {
        where: "journal",
        kind: "different",
        key: `holding eve ${CREDIT}`,
        expected: "6",
        found: { balance: "5", debt: "0" },
        position: position + 1,
      },
      {
        where: "journal",
        kind: "injected",
        key: "reference g1",
        expected: steps.g1.id,
        found: [steps.g1.id, `${position + 2}.0`],
        position: position + 2,
      },
    ]);
  });

  it("C4 is incomplete where an entry cannot be applied", async () => {
    const { stage, ledgers } = await filled({ snapshotBucket: false });
    await ledgers.close();
    const drained = [{ version: 999, lotIndex: 0, amount: 5n, expiresAt: null }];
    const made = [{ lotIndex: 0, amount: 5n, expiresAt: null }];
    const wrong = { ...posting, ...outcome, source: "alice", drained, made };
    await forge(stage, { ...POSTED, postings: [wrong] });
    const report = await checkStored(stage);
    expect(report).toMatchObject({ outcome: "incomplete", findings: [], chain: { intact: true } });
    expect(report.reason).toContain("lot 0 of transaction 999");
  });
});
