import { describe, expect, it } from "vitest";
import { checkOpenLedger } from "../../../src/ledger/check.ts";
import type { AccountCell } from "../../../src/ledger/cells.ts";
import { LedgerEngine } from "../../../src/ledger/engine.ts";
import type { LedgerCheckReport } from "../../../src/ledger/index.ts";
import { DAMAGES } from "./check-damages.ts";
import {
  checkStored,
  chunkKeys,
  filled,
  flipped,
  rawBucket,
  rewriteEntry,
  rewriteSnapshot,
} from "./check-stage.ts";
import { CREDIT, there } from "./ledger-stage.ts";
import { entryAt } from "./snapshot-store-stage.ts";

/** Entries of a filled journal. */
const ENTRIES = 18;

function briefly({ findings }: LedgerCheckReport): unknown[] {
  return findings.map(({ where, kind, key, position }) => ({ where, kind, key, position }));
}

describe("a check of a ledger", () => {
  it("C5 finds nothing in a healthy one, and says what it has compared", async () => {
    const { stage, ledger, ledgers, steps } = await filled();
    const report = await ledger.check();
    expect(report).toMatchObject({
      ledger: "main",
      stream: stage.stream,
      outcome: "clean",
      findings: [],
      findingCount: 0,
      chain: { intact: true, version: ENTRIES, position: steps.last.position },
      version: ENTRIES,
      memoryVersion: ENTRIES,
      readModels: [],
    });
    expect(report.chain.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(report.reason).toBeUndefined();
    await ledgers.close();
    const stored = await checkStored(stage);
    expect(stored).toMatchObject({ outcome: "clean", version: ENTRIES, snapshotVersion: ENTRIES });
    expect(stored.memoryVersion).toBeUndefined();
    expect(stored.chain).toEqual(report.chain);
    // alike, but that the first one has met a snapshot of an earlier version too
    expect(stored.checkedKeys).toBe(50);
    expect(report.checkedKeys).toBeGreaterThanOrEqual(50);
  });

  it("C5 finds nothing after a restart from a snapshot, nor beside another process", async () => {
    const { stage, ledgers } = await filled();
    await ledgers.close();
    const restarted = await (await stage.ledgers({ snapshotEveryEntries: 1 })).open("main");
    const other = await stage.other({ refreshMs: 0 });
    for (const [at, ledger] of [restarted, other, restarted, other].entries())
      await ledger.grant({ to: "alice", asset: CREDIT, amount: 1n, reference: `r${at}` });
    for (const ledger of [restarted, other]) {
      await ledger.refresh();
      const report = await ledger.check();
      expect(report).toMatchObject({ outcome: "clean", memoryVersion: ENTRIES + 4 });
    }
  });

  it("C2 compares a process that is behind with the journal up to where it is", async () => {
    const { stage, ledger } = await filled();
    const other = await stage.other({ refreshMs: 0 });
    await ledger.grant({ to: "alice", asset: CREDIT, amount: 1n });
    const report = await other.check();
    expect(report).toMatchObject({ outcome: "clean", memoryVersion: ENTRIES });
    expect(report.version).toBe(ENTRIES + 1);
  });

  it("names so many findings as are asked for, and counts them all", async () => {
    const { stage, ledgers } = await filled();
    await ledgers.close();
    await rewriteSnapshot(stage, (state) => {
      state.holds.clear();
      state.reverted.clear();
    });
    const report = await checkStored(stage, { maxFindings: 1 });
    expect(report).toMatchObject({ outcome: "findings", findingCount: 2 });
    expect(report.findings).toHaveLength(1);
  });

  it("tells how far it is, and ends when it is told to", async () => {
    const { stage, ledger } = await filled();
    const told: string[] = [];
    await ledger.check({
      onProgress: ({ phase, fraction }) => {
        expect(fraction).toBeGreaterThanOrEqual(0);
        expect(fraction).toBeLessThanOrEqual(1);
        told.push(phase);
      },
    });
    expect(new Set(told)).toEqual(new Set(["comparing", "reading"]));
    const over = AbortSignal.abort(new Error("over"));
    await expect(checkStored(stage, { signal: over })).rejects.toThrow("over");
  });
});

describe("a check of a ledger finds in the memory of the process", () => {
  it.each(DAMAGES)("C1 C6 $title", async ({ damage, found }) => {
    const { stage, ledger, steps } = await filled();
    const now = (): number => stage.nowMs;
    const options = {
      now,
      maxClockSkewMs: Number.MAX_SAFE_INTEGER,
      snapshotBucket: false as const,
    };
    const engine = await LedgerEngine.start(await stage.store(), ledger.info, options);
    expect(await checkOpenLedger(engine, {})).toMatchObject({ outcome: "clean" });
    damage(engine.state);
    const report = await checkOpenLedger(engine, {});
    await engine.close();
    const expected = found(steps).map((finding) => ({ where: "memory", ...finding }));
    expect(briefly(report)).toEqual(expect.arrayContaining(expected));
    expect(report).toMatchObject({ outcome: "findings", findingCount: expected.length });
    expect(report.chain.intact).toBe(true);
  });
});

describe("a check of a process that is behind", () => {
  it("C1 names what should have caused a value up to where it is, and nothing later", async () => {
    const { stage, ledger, steps } = await filled({ snapshotBucket: false });
    const now = (): number => stage.nowMs;
    const clock = { now, maxClockSkewMs: Number.MAX_SAFE_INTEGER, refreshMs: 0 };
    const options = { ...clock, snapshotBucket: false as const };
    const engine = await LedgerEngine.start(await stage.store(), ledger.info, options);
    await ledger.spend({ from: "alice", asset: CREDIT, amount: 1n });
    const cell = there(engine.state.books.accounts.get("alice")?.holding(CREDIT));
    cell.confirmed = there(cell.confirmed).withHolds([]);
    const report = await checkOpenLedger(engine, {});
    await engine.close();
    expect(report).toMatchObject({ version: ENTRIES + 1, memoryVersion: ENTRIES });
    const { position } = steps.capture;
    expect(report.findings).toMatchObject([{ where: "memory", kind: "missing", position }]);
  });
});

describe("a check of a ledger finds in the snapshot", () => {
  it.each(DAMAGES)("C1 C6 $title", async ({ damage, found }) => {
    const { stage, ledgers, steps } = await filled();
    await ledgers.close();
    await rewriteSnapshot(stage, () => {});
    expect(await checkStored(stage)).toMatchObject({ outcome: "clean", snapshotVersion: ENTRIES });
    await rewriteSnapshot(stage, damage);
    const report = await checkStored(stage);
    const expected = found(steps).map((finding) => ({ where: "snapshot", ...finding }));
    expect(briefly(report)).toEqual(expect.arrayContaining(expected));
    expect(report).toMatchObject({ outcome: "findings", findingCount: expected.length });
  });

  it("C6 a flipped byte and a deleted entry, of any of its chunks and its manifest", async () => {
    const { stage, ledgers } = await filled();
    await ledgers.close();
    const bucket = await rawBucket(stage);
    const keys = [...(await chunkKeys(bucket)), "main.manifest"];
    expect(keys.length).toBeGreaterThan(5);
    for (const key of keys) {
      await rewriteEntry(bucket, key, (data) => flipped(data, data.length >> 1));
      const report = await checkStored(stage);
      expect(report).toMatchObject({ outcome: "findings", findingCount: 1 });
      expect(report.findings).toMatchObject([{ where: "snapshot", kind: "different", key }]);
      await rewriteEntry(bucket, key, (data) => flipped(data, data.length >> 1));
      expect(await checkStored(stage)).toMatchObject({ outcome: "clean" });
    }
    await rewriteEntry(bucket, keys[1] ?? "", () => undefined);
    const { findings } = await checkStored(stage);
    expect(findings).toMatchObject([{ where: "snapshot", kind: "missing", key: keys[1] }]);
  });

  it("C5 nothing where its bytes are other ones for the same state", async () => {
    const { stage, ledgers } = await filled();
    await ledgers.close();
    const before = await chunkKeys(await rawBucket(stage));
    const bytes = async (): Promise<string> =>
      Buffer.from((await entryAt(await rawBucket(stage), before[1] ?? "")).data).toString("hex");
    const original = await bytes();
    await rewriteSnapshot(stage, ({ books }) => {
      const accounts = books.accounts as Map<string, AccountCell>;
      const alice = there(accounts.get("alice"));
      accounts.delete("alice");
      accounts.set("alice", alice);
    });
    expect(await bytes()).not.toBe(original);
    expect(await checkStored(stage)).toMatchObject({ outcome: "clean", snapshotVersion: ENTRIES });
  });

  it("nothing where there is none, and says so where a newer release wrote it", async () => {
    const without = await filled({ snapshotBucket: false });
    const none = await checkStored(without.stage);
    expect(none).toMatchObject({ outcome: "clean", version: ENTRIES });
    expect(none.snapshotVersion).toBeUndefined();
    const { stage, ledgers } = await filled();
    await ledgers.close();
    await rewriteEntry(await rawBucket(stage), "main.manifest", () => Buffer.from('{"format":9}'));
    const report = await checkStored(stage);
    expect(report).toMatchObject({ outcome: "clean", findingCount: 0 });
    expect(report.reason).toContain("format 9");
    expect(report.snapshotVersion).toBeUndefined();
  });
});
