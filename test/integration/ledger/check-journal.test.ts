import { headers } from "@nats-io/nats-core";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import {
  CHAIN_HEADER,
  chainHash,
  checkLedger,
  type LedgerCheckReport,
} from "../../../src/ledger/index.ts";
import { pack } from "../../../src/store/packing.ts";
import { backUp } from "../store/stream-backup.ts";
import { natsUrl } from "../../support/server.ts";
import {
  checkStored,
  type CheckStage,
  type CopiedMessage,
  filled,
  flipped,
  rewriteSnapshot,
  rewriteStream,
} from "./check-stage.ts";
import { CREDIT, type LedgerStage, refusal } from "./ledger-stage.ts";

/** A ledger without snapshot; nobody has it open. */
async function closed(): Promise<CheckStage> {
  const stage = await filled({ snapshotBucket: false });
  await stage.ledgers.close();
  return stage;
}

/** A ledger whose snapshot would give findings, if the journal could be trusted. */
async function withFinding(): Promise<CheckStage> {
  const stage = await filled();
  await stage.ledgers.close();
  await rewriteSnapshot(stage.stage, (state) => state.holds.clear());
  expect(await checkStored(stage.stage)).toMatchObject({ outcome: "findings", findingCount: 1 });
  return stage;
}

/** Nothing is said of the state, and one thing of the journal. */
function expectBroken(report: LedgerCheckReport, position: number, reason: RegExp | string): void {
  const { chain, findings, outcome } = report;
  expect({ outcome, intact: chain.intact }).toEqual({ outcome: "incomplete", intact: false });
  expect(findings).toMatchObject([{ where: "journal", key: `commit ${position}`, position }]);
  expect(report.findingCount).toBe(1);
  expect(report.reason).toMatch(reason);
  expect(chain.reason).toBe(report.reason);
}

/** Changes one message of the journal. */
async function tamper(
  stage: LedgerStage,
  position: number,
  change: (message: CopiedMessage) => CopiedMessage | "deleted" | undefined,
): Promise<void> {
  await rewriteStream(stage, (message) => (message.seq === position ? change(message) : message));
}

describe("a check of the hash chain of a journal", () => {
  it("C5 finds it intact after the stream was copied as it was", async () => {
    const { stage } = await closed();
    const before = await checkStored(stage);
    await rewriteStream(stage, (message) => message);
    const after = await checkStored(stage);
    expect(after.outcome).toBe("clean");
    expect(after.chain).toEqual(before.chain);
  });

  it("C3a C6 finds any flipped byte of a stored commit, and what stood there before", async () => {
    const { stage, steps } = await closed();
    const { position } = steps.transfer;
    let bytes = 0;
    await tamper(stage, position, (message) => {
      bytes = message.data.length;
      return message;
    });
    for (const at of [0, 1, bytes >> 1, bytes - 1]) {
      await tamper(stage, position, (message) => ({
        ...message,
        data: flipped(message.data, at),
      }));
      const report = await checkStored(stage);
      expectBroken(report, position, "is not as it was");
      expect(report.chain).toMatchObject({
        brokenAt: position,
        version: steps.g2.version,
        position: steps.g2.position,
      });
      const [finding] = report.findings;
      expect(finding?.expected).toMatch(/^[0-9a-f]{64}$/);
      expect(finding?.found).toMatch(/^[0-9a-f]{64}$/);
      expect(finding?.found).not.toBe(finding?.expected);
      // a second flip puts the byte back
      await tamper(stage, position, (message) => ({
        ...message,
        data: flipped(message.data, at),
      }));
      expect(await checkStored(stage)).toMatchObject({ outcome: "clean" });
    }
  });

  it("C3a finds a changed commit id, a changed hash and one that was taken away", async () => {
    const { stage, steps } = await closed();
    const { position } = steps.hold;
    const changes: readonly [string, string | undefined][] = [
      ["Annal-Commit", "another"],
      [CHAIN_HEADER, "0".repeat(64)],
      [CHAIN_HEADER, undefined],
    ];
    for (const [name, value] of changes) {
      let kept = "";
      const put = (wanted: string | undefined) => (message: CopiedMessage) => {
        kept = message.header.get(name) === "" ? kept : message.header.get(name);
        if (wanted === undefined) message.header.delete(name);
        else message.header.set(name, wanted);
        return message;
      };
      await tamper(stage, position, put(value));
      const original = kept;
      expectBroken(await checkStored(stage), position, "broken at position");
      await tamper(stage, position, put(original));
      expect(await checkStored(stage)).toMatchObject({ outcome: "clean" });
    }
  });

  it("C4 C6 finds a deleted commit, says which one follows, and nothing of the state", async () => {
    const { stage, steps } = await withFinding();
    await tamper(stage, steps.spend.position, () => "deleted");
    const report = await checkStored(stage);
    const missing = `follows the one at position ${steps.spend.position}`;
    expectBroken(report, steps.sum.position, missing);
    expect(await refusal(stage.other())).toMatchObject({ code: "journal_broken" });
  });

  it("C4 C6 finds that the beginning is missing", async () => {
    const { stage, steps } = await withFinding();
    const nc = await connect({ servers: natsUrl() });
    await (await jetstreamManager(nc)).streams.purge(stage.stream, { seq: steps.g1.position });
    await nc.close();
    expectBroken(await checkStored(stage), steps.g1.position, "the one before it is at 0");
  });

  it("C6 finds a commit that was added, without a hash and with one of its own", async () => {
    for (const hash of [undefined, "f".repeat(64)]) {
      const { stage, steps } = await closed();
      let position = 0;
      await rewriteStream(
        stage,
        (message) => message,
        ({ seq, subject, data }) => {
          position = seq + 1;
          const header = headers();
          header.set("Annal-Commit", "strange");
          header.set("Annal-Version", String(steps.last.version + 1));
          if (hash !== undefined) header.set(CHAIN_HEADER, hash);
          return [{ seq: position, subject, data, header }];
        },
      );
      expectBroken(await checkStored(stage), position, "commit strange");
    }
  });

  it("C3a C4 finds by the snapshot that the tail was cut", async () => {
    const { stage, steps } = await withFinding();
    const { position, version } = steps.last;
    await tamper(stage, position, () => undefined);
    const report = await checkStored(stage);
    expectBroken(report, position, `the snapshot knows its version ${version}`);
    expect(report.chain).toMatchObject({ cutBefore: version, version: version - 1 });
    expect(report.chain.brokenAt).toBeUndefined();
  });

  it("C3a finds by the snapshot that the tail was written anew, with right hashes", async () => {
    const { stage, steps } = await withFinding();
    const { position } = steps.last;
    await tamper(stage, position, () => undefined);
    const ledger = await stage.other();
    await ledger.grant({ to: "mallory", asset: CREDIT, amount: 3n });
    await ledger.grant({ to: "mallory", asset: CREDIT, amount: 4n });
    const report = await checkStored(stage);
    expectBroken(report, position, "another history than the snapshot knows");
    const without = await checkStored(stage, { snapshotBucket: false });
    expect(without).toMatchObject({ outcome: "clean", chain: { intact: true } });
  });

  it("C3a finds by the memory of the process that the tail was cut", async () => {
    const { stage, ledger, steps } = await filled({ snapshotBucket: false });
    const nc = await connect({ servers: natsUrl() });
    const manager = await jetstreamManager(nc);
    await manager.streams.purge(stage.stream, { filter: stage.journal });
    await nc.close();
    const report = await ledger.check();
    expectBroken(report, steps.last.position, "this process knows its version");
    expect(report.chain).toMatchObject({ cutBefore: steps.last.version, version: 0 });
  });

  it("C4 is incomplete where something was deleted behind the last commit", async () => {
    const { stage, steps } = await closed();
    await tamper(stage, steps.last.position, () => "deleted");
    const report = await checkStored(stage);
    expect(report).toMatchObject({ outcome: "incomplete", findings: [], chain: { intact: false } });
    expect(report.reason).toContain(`position ${steps.last.position} of the stream`);
  });

  it("C4 is incomplete where the journal is empty, and where the stream is an older one", async () => {
    const { stage, steps } = await closed();
    const nc = await connect({ servers: natsUrl() });
    const backup = await backUp(nc, stage.stream);
    const ledgers = await stage.ledgers({ snapshotEveryEntries: 1 });
    await (await ledgers.open("main")).grant({ to: "a", asset: CREDIT, amount: 1n });
    await ledgers.create("idle", { bucket: "eu" });
    await ledgers.close();
    const store = await stage.store();
    await (await jetstreamManager(nc)).streams.delete(stage.stream);
    await backup.restore();
    await nc.close();
    const report = await checkStored(stage);
    expectBroken(report, steps.last.position + 1, "its tail was cut");
    await store.close();
    const idle = await checkLedger(await stage.store(), "idle");
    expect(idle).toMatchObject({ outcome: "incomplete", findings: [] });
    expect(idle.reason).toContain("is empty");
  });

  it.each([
    { what: "a newer release has written", by: 1, event: [2, 0], reason: "format" },
    { what: "a commit has less entries than it says", by: 2, event: [1, 9e15], reason: "expected" },
  ])("C4 C9 is incomplete where $what, its hashes followed all the same", async (newer) => {
    const { stage, steps } = await withFinding();
    const commitId = "newer";
    const version = steps.last.version + newer.by;
    const before = await checkStored(stage);
    await rewriteStream(
      stage,
      (message) => message,
      ({ seq, subject }) => {
        const event = ["TransactionPosted", [...newer.event, null, null, []]];
        const data = pack([1, null, [[event]]]);
        const header = headers();
        header.set("Annal-Commit", commitId);
        header.set("Annal-Version", String(version));
        header.set(CHAIN_HEADER, chainHash(before.chain.hash, version, commitId, data));
        return [{ seq: seq + 1, subject, data, header }];
      },
    );
    const report = await checkStored(stage);
    expect(report).toMatchObject({ outcome: "incomplete", findings: [], findingCount: 0 });
    expect(report.reason).toContain(newer.reason);
    expect(report.chain).toMatchObject({ intact: true, version });
  });
});
