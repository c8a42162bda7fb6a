import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Ledger, type TransactionResult, WORLD } from "../../../src/ledger/index.ts";
import { answerTo, type Wire } from "../../support/wire.ts";
import { CREDIT, LedgerStage, refusal } from "./ledger-stage.ts";

let stage: LedgerStage;
let wire: Wire;
/** Behind the wire, so that its requests can be counted. */
let ledger: Ledger;

beforeEach(async () => {
  ({ stage } = await LedgerStage.create());
  wire = await stage.wire();
  ledger = await stage.other({ refreshMs: 0 }, { servers: wire.url });
  await ledger.grant({ to: "alice", asset: CREDIT, amount: 100n });
  wire.reset();
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const spend = (of: Ledger, amount: bigint) => of.spend({ from: "alice", to: "bob", asset, amount });

const fund = () => ledger.grant({ to: "alice", asset, amount: 1n });

function commitsOf(results: readonly TransactionResult[]): number {
  return new Set(results.map(({ position }) => position)).size;
}

describe("commands of many callers", () => {
  it("are stored in far fewer commits than there are commands, with one result each", async () => {
    const sending = Array.from({ length: 200 }, (_, at) =>
      ledger.grant({ to: `account-${at}`, asset, amount: BigInt(at + 1) }),
    );
    const results = await Promise.all(sending);
    expect(commitsOf(results)).toBeLessThanOrEqual(4);
    expect(wire.count(stage.journal)).toBe(commitsOf(results));
    expect(new Set(results.map(({ id }) => id)).size).toBe(200);
    // in the order of their arrival, each its own
    expect(results.map(({ version }) => version)).toEqual(
      Array.from({ length: 200 }, (_, at) => at + 3),
    );
    for (const [at, { id, amounts }] of results.entries()) {
      expect(amounts).toEqual([BigInt(at + 1)]);
      const posting = (await ledger.transaction(id))?.postings[0];
      expect(posting).toMatchObject({ destination: `account-${at}`, amount: BigInt(at + 1) });
    }
    expect(await ledger.balance(WORLD, asset)).toBe(-100n - 20_100n);
  });

  it("that come while a commit is on its way go together in the next one", async () => {
    const held = wire.hold(answerTo(stage.journal));
    const first = spend(ledger, 1n);
    await held.reached();
    const others = Array.from({ length: 50 }, () => spend(ledger, 1n));
    await new Promise((resolve) => setImmediate(resolve));
    held.release();
    const results = await Promise.all([first, ...others]);
    expect(commitsOf(results)).toBe(2);
    expect(wire.count(stage.journal)).toBe(2);
  });

  it("are halved where very many wait and nothing is on its way", async () => {
    const results = await Promise.all(Array.from({ length: 600 }, () => fund()));
    const positions = results.map(({ position }) => position);
    expect(new Set(positions.slice(0, 300)).size).toBe(1);
    expect(new Set(positions.slice(300)).size).toBe(1);
    expect(commitsOf(results)).toBe(2);
  });

  it("are not hurt by refusals among them", async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 200 }, (_, at) => spend(ledger, at % 2 === 0 ? 1n : 1_000n)),
    );
    const statuses = outcomes.map(({ status }) => status);
    expect(statuses.filter((_, at) => at % 2 === 0)).toEqual(Array(100).fill("fulfilled"));
    expect(statuses.filter((_, at) => at % 2 === 1)).toEqual(Array(100).fill("rejected"));
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.status === "fulfilled") continue;
      // each on what the ones before it have left
      const available = BigInt(100 - Math.ceil(at / 2));
      expect(outcome.reason).toMatchObject({
        code: "insufficient_funds",
        needed: 1_000n,
        available,
      });
    }
    for (const reader of [ledger, await stage.other()])
      expect(await reader.balance("bob", asset)).toBe(100n);
  });

  it("are decided in the order of their arrival", async () => {
    const [first, second, third] = await Promise.allSettled([
      spend(ledger, 60n),
      spend(ledger, 60n),
      spend(ledger, 40n),
    ]);
    expect([first.status, second.status, third.status]).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
  });

  it("are bounded in number and in bytes of one commit", async () => {
    const few = await stage.other({ maxGroupCommands: 10, refreshMs: 0 });
    const results = await Promise.all(Array.from({ length: 95 }, () => spend(few, 1n)));
    const sizes = new Map<number, number>();
    for (const { position } of results) sizes.set(position, (sizes.get(position) ?? 0) + 1);
    expect(Math.max(...sizes.values())).toBeLessThanOrEqual(10);
    const small = await stage.other({ maxGroupBytes: 16_384, refreshMs: 0 });
    const metadata = { note: "x".repeat(4_000) };
    const large = await Promise.all(
      Array.from({ length: 30 }, () => small.grant({ to: "bob", asset, amount: 1n, metadata })),
    );
    expect(commitsOf(large)).toBeGreaterThanOrEqual(30 / 4);
  });

  it("wait for nothing where nobody else is there: one round trip each", async () => {
    for (let time = 1; time <= 10; time++) {
      await spend(ledger, 1n);
      expect(wire.published).toHaveLength(time);
    }
  });
});

describe("nothing decided leaves before its group is acknowledged", () => {
  /** Whether it has settled by the time that all that waits has had its turn. */
  async function isSettled(work: Promise<unknown>): Promise<boolean> {
    let settled = false;
    const done = (): void => {
      settled = true;
    };
    work.then(done, done);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    return settled;
  }

  it.each([
    ["a refusal", () => spend(ledger, 1_000n)],
    ["a dry run", () => ledger.spend({ from: "alice", asset, amount: 1n }, { dryRun: true })],
    [
      "a replay",
      () => ledger.spend({ from: "alice", asset, amount: 90n }, { idempotencyKey: "k" }),
    ],
    [
      "a conflict of keys",
      () => ledger.spend({ from: "alice", asset, amount: 1n }, { idempotencyKey: "k" }),
    ],
    ["a posting", () => spend(ledger, 1n)],
  ] as const)("%s of what was decided with it waits for it", async (_, command) => {
    const held = wire.hold(answerTo(stage.journal));
    const first = ledger.spend({ from: "alice", asset, amount: 90n }, { idempotencyKey: "k" });
    await held.reached();
    const second = command();
    expect(await isSettled(second)).toBe(false);
    expect(await ledger.balance("alice", asset)).toBe(100n);
    held.release();
    await Promise.allSettled([second]);
    await first;
    expect(await ledger.balance("alice", asset)).toBeLessThanOrEqual(10n);
  });

  it("a refusal of a state that another process has changed is decided again", async () => {
    const other = await stage.other();
    await spend(ledger, 100n);
    // the other one knows nothing of this yet
    await ledger.grant({ to: "alice", asset, amount: 50n });
    expect((await spend(other, 50n)).amounts).toEqual([50n]);
    expect(await refusal(spend(ledger, 1n))).toMatchObject({ available: 0n });
  });

  it("a refusal asks where the journal ends, once for all that were refused together", async () => {
    await Promise.allSettled(Array.from({ length: 50 }, () => spend(ledger, 1_000n)));
    expect(wire.count(stage.journal)).toBe(0);
    expect(wire.published).toHaveLength(1);
  });
});

describe("two processes on one ledger", () => {
  it("both see their own results, and the sum of both", async () => {
    const other = await stage.other();
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, at) => spend(at % 2 === 0 ? ledger : other, 1n)),
    );
    expect(new Set(results.map(({ id }) => id)).size).toBe(100);
    for (const reader of [ledger, other])
      expect(await reader.balance("bob", asset, { fresh: true })).toBe(100n);
    const versions = results.map(({ version }) => version).toSorted((a, b) => a - b);
    expect(versions).toEqual(Array.from({ length: 100 }, (_, at) => at + 3));
  });

  it("spend nothing twice", async () => {
    const other = await stage.other();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 150 }, (_, at) => spend(at % 2 === 0 ? ledger : other, 1n)),
    );
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(100);
    for (const reader of [ledger, other, await stage.other()]) {
      await reader.refresh();
      expect(await reader.balance("alice", asset)).toBe(0n);
      expect(await reader.balance("bob", asset)).toBe(100n);
    }
  });
});

describe("waiting for an outcome", () => {
  it("ends with the caller's signal; the command may still be posted", async () => {
    const held = wire.hold(answerTo(stage.journal));
    const controller = new AbortController();
    const spending = ledger.spend(
      { from: "alice", asset, amount: 1n },
      { signal: controller.signal },
    );
    await held.reached();
    const reason = new Error("gone");
    controller.abort(reason);
    expect(await refusal(spending)).toBe(reason);
    held.release();
    await spend(ledger, 1n);
    expect(await ledger.balance("alice", asset)).toBe(98n);
    const aborted = AbortSignal.abort(reason);
    expect(
      await refusal(ledger.spend({ from: "alice", asset, amount: 1n }, { signal: aborted })),
    ).toBe(reason);
    expect(await ledger.balance("alice", asset, { fresh: true })).toBe(98n);
  });

  it("ends after the caller's time with CommandTimeoutError; the same key tells", async () => {
    const held = wire.hold(answerTo(stage.journal));
    const input = { from: "alice", asset, amount: 1n };
    const error = await refusal(ledger.spend(input, { timeoutMs: 50, idempotencyKey: "k" }));
    expect(error).toMatchObject({ code: "command_timeout", timeoutMs: 50 });
    held.release();
    expect(await ledger.spend(input, { idempotencyKey: "k" })).toMatchObject({ replayed: true });
    expect(await ledger.balance("alice", asset)).toBe(99n);
  });

  it("takes any time that a timer does not", async () => {
    const input = { from: "alice", asset, amount: 1n };
    await ledger.spend(input, { timeoutMs: 2 ** 31 });
    await ledger.spend(input, { timeoutMs: Number.MAX_SAFE_INTEGER });
    expect(await ledger.balance("alice", asset)).toBe(98n);
  });
});
