import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { AppendOutcomeUnknownError } from "../../src/index.ts";
import type { Ledger } from "../../src/ledger/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { CREDIT, LedgerStage, refusal } from "../integration/ledger/ledger-stage.ts";
import { pauseServer } from "../support/fault-pause.ts";
import { codeOf } from "../support/fault-store.ts";
import { auditLedger } from "./ledger-audit.ts";
import { Hammer, transferAmong } from "./ledger-hammer.ts";

let server: NatsServer;
let stage: LedgerStage;
let ledger: Ledger;

beforeEach(async () => {
  server = await startServer();
  stage = new LedgerStage(server.url);
  await (await stage.ledgers()).create("main", { bucket: "eu" });
});

afterEach(async () => {
  await server.resume();
  await stage[Symbol.asyncDispose]();
  await server.stop();
});

const asset = CREDIT;
const ACCOUNTS = 7;

async function open(commandTimeoutMs: number): Promise<void> {
  const bounds = { ackTimeoutMs: 200, readTimeoutMs: 500, appendTimeoutMs: 1_000 };
  ledger = await stage.other({ commandTimeoutMs, refreshMs: 100 }, bounds);
  for (let at = 0; at < ACCOUNTS; at++)
    await ledger.grant({ to: `account-${at}`, asset, amount: 100n });
}

const spend = (amount: bigint, idempotencyKey?: string) =>
  ledger.spend({ from: "account-0", to: "bob", asset, amount }, { idempotencyKey });

describe("a server that is killed and restarted under load", () => {
  it("loses and doubles no transaction that was acknowledged; the same key tells of those of unknown outcome", async () => {
    await open(3_000);
    const load = new Hammer("killed", 40, transferAmong(ledger, ACCOUNTS, asset));
    for (let round = 0; round < 5; round++) {
      await load.progress(200);
      await server.kill();
      await server.restart();
    }
    await load.progress(200);
    await load.stop();
    expect(load.failures).toEqual([]);
    const all = await auditLedger(await stage.other(), load.done);
    expect(all).toHaveLength(load.done.length + ACCOUNTS);
  }, 90_000);

  it("that stays away longer than commands wait leaves their outcome unknown, and settles it later", async () => {
    await open(600);
    const load = new Hammer("away", 40, transferAmong(ledger, ACCOUNTS, asset));
    for (let round = 0; round < 3; round++) {
      await load.progress(200);
      const before = [...load.open.values()].reduce((sum, count) => sum + count, 0);
      await server.kill();
      // until callers have given up once
      while ([...load.open.values()].reduce((sum, count) => sum + count, 0) < before + 40)
        await new Promise((resolve) => setImmediate(resolve));
      await server.restart();
    }
    await load.progress(200);
    await load.stop();
    expect(load.failures).toEqual([]);
    const all = await auditLedger(await stage.other(), load.done);
    expect(all).toHaveLength(load.done.length + ACCOUNTS);
  }, 90_000);

  it("leaves holds, debts and lots as they were acknowledged", async () => {
    await open(10_000);
    await ledger.openAccount("debtor", { overdraft: 50n });
    await ledger.spend({ from: "debtor", asset, amount: 30n });
    const expiresAt = new Date(stage.nowMs + 3_600_000);
    const hold = await ledger.hold({ from: "account-0", asset, amount: 60n, expiresAt });
    await server.kill();
    await server.restart();
    expect(codeOf(await refusal(spend(41n)))).toBe("insufficient_funds");
    await ledger.capture(hold.id, 10n);
    for (const reader of [ledger, await stage.other()]) {
      expect(await reader.balance("account-0", asset)).toBe(90n);
      expect(await reader.available("account-0", asset)).toBe(90n);
      expect(await reader.details("debtor", asset)).toMatchObject({ debt: 30n });
    }
  }, 60_000);
});

describe("a server that is paused", () => {
  it("leaves what was sent unknown, answers reads from memory, and tells with the same key afterwards", async () => {
    await open(500);
    await spend(1n);
    await pauseServer(server);
    const sent = ["a", "b", "c"].map((key) => refusal(spend(1n, key)));
    expect(await ledger.balance("bob", asset)).toBe(1n);
    for (const error of await Promise.all(sent))
      expect(error).toBeInstanceOf(AppendOutcomeUnknownError);
    expect(codeOf(await refusal(spend(1n, "d")))).toMatch(/unknown|timeout|unavailable/);
    await server.resume();
    const done = [];
    for (const key of ["a", "b", "c", "d"]) {
      const input = { from: "account-0", to: "bob", asset, amount: 1n };
      const { id } = await ledger.spend(input, { idempotencyKey: key, timeoutMs: 20_000 });
      done.push({ key, id });
    }
    expect(await ledger.balance("bob", asset)).toBe(5n);
    expect(await auditLedger(await stage.other(), done)).toHaveLength(ACCOUNTS + 5);
  }, 60_000);

  it("for less than commands wait costs nobody anything but time", async () => {
    await open(20_000);
    const load = new Hammer("paused", 30, transferAmong(ledger, ACCOUNTS, asset));
    for (let round = 0; round < 4; round++) {
      await load.progress(100);
      await pauseServer(server);
      const late = refusal(
        ledger.spend({ from: "account-0", asset, amount: 1n }, { timeoutMs: 300 }),
      );
      expect(codeOf(await late)).toBe("command_timeout");
      await server.resume();
    }
    await load.progress(100);
    await load.stop();
    expect([load.failures, [...load.open]]).toEqual([[], []]);
    await auditLedger(await stage.other(), load.done);
  }, 60_000);

  it("does not keep a ledger from closing", async () => {
    await open(500);
    const ledgers = await stage.ledgers({ commandTimeoutMs: 500 });
    const closing = await ledgers.open("main");
    await pauseServer(server);
    const sent = refusal(closing.grant({ to: "bob", asset, amount: 1n }));
    await ledgers.close();
    expect(codeOf(await sent)).toMatch(/unknown|timeout|unavailable|closed/);
    expect(codeOf(await refusal(closing.grant({ to: "bob", asset, amount: 1n })))).toBe("closed");
  }, 30_000);
});
