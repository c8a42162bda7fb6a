import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { type CheckReport, startProjector } from "../../../src/projection/index.ts";
import { eventually, natsUrl } from "../../support/server.ts";
import { atOnce, ShopStage, stock } from "./check-stage.ts";

const PROGRAM = fileURLToPath(new URL("check-process.ts", import.meta.url));

/** Runs something while two writers and a projector are at work. */
async function whileLive(stage: ShopStage, work: () => Promise<void>): Promise<void> {
  const state = stage.state({ generationEvents: 7 });
  await using projector = await startProjector(stage.store, stock(), { state, maxBatchEvents: 5 });
  await projector.caughtUp();
  const over = new AbortController();
  const write = async (writer: number): Promise<void> => {
    for (let n = writer; !over.signal.aborted; n += 3) {
      await stage.stockUp(`k${n % 40}`, BigInt(n + 20), `w${writer}`);
      if (n % 7 === 0) await stage.drop(`k${(n * 5) % 40}`);
    }
  };
  const writing = Promise.all([write(0), write(1)]);
  try {
    await work();
  } finally {
    over.abort();
    await writing;
  }
  await projector.caughtUp();
}

describe.each([1_000, 8])("a check of a live system, with %i keys in memory", (maxKeysInMemory) => {
  it("C7 finds nothing while writers and the projector go on", async () => {
    const stage = await ShopStage.open();
    await stage.fill();
    const reports: CheckReport[] = [];
    await whileLive(stage, async () => {
      while (reports.length < 5 || reports.every(({ passes }) => passes === 1)) {
        const before = await stage.store.head();
        reports.push(await stage.check({ maxKeysInMemory }));
        expect(await stage.store.head()).toBeGreaterThan(before);
      }
    });
    reports.push(await stage.check({ maxKeysInMemory }));
    for (const report of reports) {
      expect(report).toMatchObject({ outcome: "clean", findings: [], unsettled: 0 });
    }
  });

  it("C7 finds an entry that names a place beyond everything while writers go on", async () => {
    const stage = await ShopStage.open();
    await stage.fill();
    await stage.stockUp("cold", 1n);
    await stage.project();
    const { data } = await stage.entry("article.cold");
    await stage.forge("article.cold", Buffer.concat([data.subarray(0, -1), Buffer.of(9)]), BEYOND);
    await stage.forge("article.injected", data, BEYOND);
    await whileLive(stage, async () => {
      const { outcome, findings } = await stage.check({ maxKeysInMemory });
      expect(outcome).toBe("findings");
      expect(Object.fromEntries(findings.map(({ key, kind }) => [key, kind]))).toEqual({
        cold: "different",
        injected: "injected",
      });
    });
  });
});

const BEYOND = `${Number.MAX_SAFE_INTEGER}.0`;

describe("a check of a projection", () => {
  it("C7 says how many keys it could not settle in so many passes", async () => {
    const stage = await ShopStage.open();
    await stage.fill();
    await stage.project();
    await stage.forge("article.k0", Buffer.of(1), BEYOND);
    expect(await stage.check({ maxPasses: 1 })).toMatchObject({
      outcome: "incomplete",
      unsettled: 1,
      findings: [],
      passes: 1,
      reason: expect.stringContaining("1 keys"),
    });
    expect(await stage.check({ maxPasses: 2 })).toMatchObject({ outcome: "findings", passes: 2 });
  });

  it("C7 says nothing of what it finds where the state is begun anew meanwhile", async () => {
    const stage = await ShopStage.open();
    await stage.fill();
    await stage.project();
    const standing = JSON.parse(Buffer.from((await stage.entry("_checkpoint")).data).toString());
    const anew = { ...standing, position: 0, taken: 0, commitId: "", applied: 0 };
    await stage.forge("article.k0", Buffer.of(1), BEYOND);
    const report = await stage.check({
      maxPasses: 3,
      onProgress: ({ phase, fraction }) => {
        if (phase !== "settling" || fraction > 0) return;
        const put = "await nc.jetstream().publish(args[0], args[1])";
        atOnce(put, `$KV.${stage.bucket}_v1._checkpoint`, JSON.stringify(anew));
      },
    });
    expect(report).toMatchObject({ outcome: "incomplete", unsettled: 1, findings: [], passes: 3 });
  });

  it("C5 finds nothing after crashes, restarts and a rebuild", async () => {
    const stage = await ShopStage.open();
    for (let n = 0; n < 20; n++) await stage.fill();
    const applied = async (): Promise<number> => {
      const { data } = await stage.entry("_checkpoint");
      return JSON.parse(Buffer.from(data).toString()).applied;
    };
    const head = await stage.store.head();
    const positions = new Set<number>();
    for (let round = 1; round <= 4; round++) {
      const args = [natsUrl(), stage.store.stream, stage.bucket];
      const child = fork(PROGRAM, args, { execArgv: ["--import", "tsx"] });
      const exited = once(child, "exit");
      await eventually(async () => (await applied()) >= round * 40, { timeoutMs: 20_000 });
      child.kill("SIGKILL");
      await exited;
      const report = await stage.check();
      expect(report).toMatchObject({ outcome: "clean", unsettled: 0 });
      positions.add(report.position);
    }
    expect(Math.min(...positions)).toBeLessThan(head);
    await stage.project();
    expect((await stage.check()).outcome).toBe("clean");
    await stage.project({ projection: stock(2) });
    expect((await stage.check({}, stock(2))).outcome).toBe("clean");
    expect((await stage.check()).outcome).toBe("clean");
  });
});
