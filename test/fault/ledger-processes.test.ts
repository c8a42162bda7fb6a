import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "../../src/ledger/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { CREDIT, LedgerStage } from "../integration/ledger/ledger-stage.ts";
import { eventually } from "../support/server.ts";
import { auditLedger } from "./ledger-audit.ts";
import { LedgerChild } from "./ledger-child.ts";

let server: NatsServer;
let stage: LedgerStage;
let ledger: Ledger;
let children: LedgerChild[] = [];

beforeAll(async () => {
  server = await startServer({ sync: "default" });
});

afterAll(() => server.stop());

beforeEach(async () => {
  stage = new LedgerStage(server.url);
  stage.nowMs = Date.now();
  const ledgers = await stage.ledgers({ now: Date.now });
  await ledgers.create("main", { bucket: "eu" });
  ledger = await ledgers.open("main");
});

afterEach(async () => {
  await Promise.all(children.map((child) => child.kill()));
  children = [];
  await stage[Symbol.asyncDispose]();
});

const asset = CREDIT;
const ACCOUNTS = 20;

async function startChildren(count: number): Promise<void> {
  children = await LedgerChild.all(count, server.url, stage.stream);
}

/** What each process has posted of the whole, in percent. */
function sharesOf(counts: readonly number[]): readonly number[] {
  const whole = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => Math.round((count / whole) * 1_000) / 10);
}

describe("several processes that spend from one account at once", () => {
  it.each([2, 4])(
    "L15 never overdraw it, and each acknowledged spend stands once (%i processes)",
    async (count) => {
      const funds = 1_500n;
      await ledger.grant({ to: "alice", asset, amount: funds });
      await startChildren(count);
      const lanes = 50;
      const perLane = 2_000 / count / lanes;
      const atMs = Date.now() + 100;
      const task = { do: "spend", from: "alice", asset, lanes, perLane, atMs } as const;
      const reports = await Promise.all(children.map((child) => child.run(task)));
      expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
      const done = reports.flatMap((report) => report.done);
      const refused = reports.reduce((sum, report) => sum + report.refused, 0);
      expect([done.length, refused]).toEqual([1_500, 500]);
      const replayed = await stage.other();
      expect(await auditLedger(replayed, done)).toHaveLength(1_501);
      expect(await replayed.balance("alice", asset)).toBe(0n);
      for (const [at, report] of reports.entries())
        expect(await replayed.balance(`till-p${at}`, asset)).toBe(BigInt(report.done.length));
      // had they not met, it would prove nothing
      expect(reports.filter((report) => report.done.length > 0)).toHaveLength(count);
    },
    60_000,
  );

  it("L15 never overdraw what is spread over many small lots that expire", async () => {
    const expiresAt = new Date(Date.now() + 3_600_000);
    for (let round = 0; round < 6; round++)
      await ledger.post({
        postings: Array.from({ length: 100 }, () => ({
          source: "world",
          destination: "alice",
          asset,
          amount: 1n,
          expiresAt,
        })),
      });
    await ledger.hold({ from: "alice", asset, amount: 100n, expiresAt });
    await startChildren(4);
    const atMs = Date.now() + 100;
    const task = { do: "spend", from: "alice", asset, lanes: 20, perLane: 10, atMs } as const;
    const reports = await Promise.all(children.map((child) => child.run(task)));
    const done = reports.flatMap((report) => report.done);
    expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
    expect(done).toHaveLength(500);
    const replayed = await stage.other({ now: Date.now });
    await auditLedger(replayed, done);
    expect(await replayed.available("alice", asset)).toBe(0n);
    expect(await replayed.balance("alice", asset)).toBe(100n);
  }, 60_000);
});

describe("several processes that write one ledger without end", () => {
  it.each([2, 4])(
    "all get their share: none less than a twentieth (%i processes)",
    async (count) => {
      for (let at = 0; at < ACCOUNTS; at++)
        await ledger.grant({ to: `account-${at}`, asset, amount: 1_000n });
      await startChildren(count);
      const atMs = Date.now() + 100;
      const task = {
        do: "transfer",
        asset,
        accounts: ACCOUNTS,
        lanes: 40,
        durationMs: 4_000,
        atMs,
      } as const;
      const reports = await Promise.all(children.map((child) => child.run(task)));
      expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
      const shares = sharesOf(reports.map(({ done }) => done.length));
      process.stdout.write(`shares of ${count} processes: ${shares.join(" %, ")} %\n`);
      const done = reports.flatMap((report) => report.done);
      await auditLedger(await stage.other({ now: Date.now }), done);
      expect(Math.min(...shares)).toBeGreaterThan(5);
    },
    60_000,
  );

  it("all get their share where one is further away than the other", async () => {
    for (let at = 0; at < ACCOUNTS; at++)
      await ledger.grant({ to: `account-${at}`, asset, amount: 1_000n });
    const wire = await stage.wire();
    wire.delay(4);
    children = await Promise.all([
      LedgerChild.start("near", server.url, stage.stream),
      LedgerChild.start("far", wire.url, stage.stream),
    ]);
    const atMs = Date.now() + 100;
    const task = {
      do: "transfer",
      asset,
      accounts: ACCOUNTS,
      lanes: 40,
      durationMs: 4_000,
      atMs,
    } as const;
    const reports = await Promise.all(children.map((child) => child.run(task)));
    expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
    const shares = sharesOf(reports.map(({ done }) => done.length));
    process.stdout.write(`shares of one near and one far: ${shares.join(" %, ")} %\n`);
    await auditLedger(
      await stage.other({ now: Date.now }),
      reports.flatMap((report) => report.done),
    );
    expect(Math.min(...shares)).toBeGreaterThan(5);
  }, 60_000);

  it("go on when one of them is killed; what it was told stands, and nothing twice", async () => {
    for (let at = 0; at < ACCOUNTS; at++)
      await ledger.grant({ to: `account-${at}`, asset, amount: 1_000n });
    await startChildren(4);
    const atMs = Date.now() + 100;
    const task = {
      do: "transfer",
      asset,
      accounts: ACCOUNTS,
      lanes: 40,
      durationMs: 3_000,
      atMs,
    } as const;
    const running = children.map((child) => child.run(task));
    const [killed, ...living] = running;
    const ended = killed?.catch((error: unknown) => String(error));
    const victim = children[0];
    await eventually(() => (victim?.told.length ?? 0) > 100, { timeoutMs: 20_000 });
    await victim?.kill();
    expect(await ended).toMatch(/ended with SIGKILL/);
    const told = victim?.told ?? [];
    const reports = await Promise.all(living);
    expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
    const done = [...told, ...reports.flatMap((report) => report.done)];
    const all = await auditLedger(await stage.other({ now: Date.now }), done);
    expect(all.length).toBeGreaterThanOrEqual(done.length + ACCOUNTS);
  }, 60_000);
});
