import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AppendOutcomeUnknownError } from "../../src/index.ts";
import type { Ledger } from "../../src/ledger/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { CREDIT, LedgerStage, refusal } from "../integration/ledger/ledger-stage.ts";
import { codeOf } from "../support/fault-store.ts";
import { answerTo, publishTo, type Wire } from "../support/wire.ts";
import { auditLedger } from "./ledger-audit.ts";
import { Hammer, transferAmong } from "./ledger-hammer.ts";

let server: NatsServer;
let stage: LedgerStage;
let wire: Wire;
/** Goes straight to the server. */
let other: Ledger;

beforeAll(async () => {
  server = await startServer({ sync: "default" });
});

afterAll(() => server.stop());

beforeEach(async () => {
  stage = new LedgerStage(server.url);
  await (await stage.ledgers()).create("main", { bucket: "eu" });
  wire = await stage.wire();
  other = await stage.other();
  await other.grant({ to: "alice", asset, amount: 100n });
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const reads = /DIRECT\.GET/;

/** A process behind the wire, with short times. */
function behindWire(commandTimeoutMs = 10_000): Promise<Ledger> {
  const bounds = {
    ackTimeoutMs: 100,
    readTimeoutMs: 300,
    appendTimeoutMs: 500,
    identityCheckMs: 60_000,
  };
  return stage.other({ commandTimeoutMs, refreshMs: 0 }, { servers: wire.url, ...bounds });
}

const spend = (of: Ledger, amount: bigint, idempotencyKey?: string, timeoutMs?: number) =>
  of.spend({ from: "alice", to: "bob", asset, amount }, { idempotencyKey, timeoutMs });

describe("a commit whose ack gets lost", () => {
  it.each([0, 1])(
    "is stored once, and all callers get their own results (and %i answers to who asks about it)",
    async (answers) => {
      const ledger = await behindWire();
      const lost = wire.drop(answerTo(stage.journal));
      const answer = answers === 0 ? undefined : wire.drop(answerTo(reads), answers);
      const outcomes = await Promise.allSettled(
        Array.from({ length: 60 }, (_, at) => spend(ledger, at % 3 === 2 ? 1_000n : 1n)),
      );
      expect([lost.frames.length, answer?.frames.length ?? 0]).toEqual([1, answers]);
      for (const [at, outcome] of outcomes.entries()) {
        if (at % 3 === 2) {
          expect(outcome).toMatchObject({ reason: { code: "insufficient_funds", needed: 1_000n } });
        } else {
          expect(outcome).toMatchObject({ value: { replayed: false, amounts: [1n] } });
        }
      }
      const ids = outcomes.flatMap((of) => (of.status === "fulfilled" ? [of.value.id] : []));
      expect(new Set(ids).size).toBe(40);
      expect(await auditLedger(other, [])).toHaveLength(41);
      expect(await other.balance("bob", asset)).toBe(40n);
    },
  );

  it("that never arrived is sent again, and stored once", async () => {
    const ledger = await behindWire();
    const lost = wire.drop(publishTo(stage.journal));
    await Promise.all(Array.from({ length: 20 }, () => spend(ledger, 1n)));
    expect(lost.frames).toHaveLength(1);
    expect(await auditLedger(other, [])).toHaveLength(21);
  });

  it("is found as its own where another process has written since", async () => {
    const ledger = await behindWire();
    const held = wire.hold(answerTo(stage.journal));
    const spending = spend(ledger, 60n);
    await held.reached();
    expect(codeOf(await refusal(spend(other, 60n)))).toBe("insufficient_funds");
    await spend(other, 40n);
    expect(await spending).toMatchObject({ amounts: [60n], replayed: false });
    held.release();
    expect(await auditLedger(other, [])).toHaveLength(3);
  });

  it("that was overtaken by another process is decided again", async () => {
    const ledger = await behindWire();
    const held = wire.hold(publishTo(stage.journal));
    const spending = Promise.allSettled([spend(ledger, 60n), spend(ledger, 10n)]);
    await held.reached();
    await spend(other, 60n);
    held.release();
    const [first, second] = await spending;
    expect(first).toMatchObject({ reason: { code: "insufficient_funds", available: 40n } });
    expect(second).toMatchObject({ value: { amounts: [10n] } });
    await auditLedger(other, []);
    expect(await other.balance("alice", asset)).toBe(30n);
  });
});

describe("an outcome that stays unknown", () => {
  it("is AppendOutcomeUnknownError; with the same key the result is told, marked as replayed", async () => {
    const ledger = await behindWire(400);
    // stored, but neither the ack nor any answer comes back
    const lost = wire.hold((frame) => answerTo(stage.journal)(frame) || answerTo(reads)(frame));
    const sent = ["a", "b", "c"].map((key) => refusal(spend(ledger, 1n, key)));
    for (const error of await Promise.all(sent))
      expect(error).toBeInstanceOf(AppendOutcomeUnknownError);
    expect(await other.balance("bob", asset, { fresh: true })).toBe(3n);
    lost.release();
    const again = await Promise.all(["a", "b", "c"].map((key) => spend(ledger, 1n, key)));
    expect(again.map(({ replayed }) => replayed)).toEqual([true, true, true]);
    const done = ["a", "b", "c"].map((key, at) => ({ key, id: again[at]?.id ?? "" }));
    expect(await auditLedger(other, done)).toHaveLength(4);
  });

  it("of what was never stored is posted by the repetition, once", async () => {
    const ledger = await behindWire(400);
    const lost = wire.drop(
      (frame) => publishTo(stage.journal)(frame) || publishTo(reads)(frame),
      1e6,
    );
    const error = await refusal(spend(ledger, 1n, "a"));
    expect(error).toBeInstanceOf(AppendOutcomeUnknownError);
    expect(await other.balance("bob", asset, { fresh: true })).toBe(0n);
    lost.stop();
    const input = { from: "alice", to: "bob", asset, amount: 1n };
    const again = ledger.spend(input, { idempotencyKey: "a", timeoutMs: 10_000 });
    expect((await again).amounts).toEqual([1n]);
    expect(await auditLedger(other, [])).toHaveLength(2);
  });

  it("of a commit that arrives long after is found, and not posted beside", async () => {
    const ledger = await behindWire(400);
    const held = wire.hold((frame) => publishTo(stage.journal)(frame) || publishTo(reads)(frame));
    expect(await refusal(spend(ledger, 60n, "a"))).toBeInstanceOf(AppendOutcomeUnknownError);
    held.release();
    expect((await spend(ledger, 60n, "a")).amounts).toEqual([60n]);
    expect(codeOf(await refusal(spend(ledger, 60n, "b")))).toBe("insufficient_funds");
    await auditLedger(other, []);
    expect(await other.balance("alice", asset)).toBe(40n);
  });

  it("does not touch what is sent behind it: decided only once it is known", async () => {
    const ledger = await behindWire(400);
    const lost = wire.hold((frame) => answerTo(stage.journal)(frame) || answerTo(reads)(frame));
    const first = refusal(spend(ledger, 60n, "a"));
    await lost.reached();
    const second = ledger.spend({ from: "alice", asset, amount: 60n }, { timeoutMs: 10_000 });
    const third = ledger.spend({ from: "alice", asset, amount: 40n }, { timeoutMs: 10_000 });
    const outcomes = Promise.allSettled([second, third]);
    expect(await first).toBeInstanceOf(AppendOutcomeUnknownError);
    lost.release();
    const [refused, posted] = await outcomes;
    expect(refused).toMatchObject({ reason: { code: "insufficient_funds", available: 40n } });
    expect(posted).toMatchObject({ value: { amounts: [40n] } });
    expect(await auditLedger(other, [])).toHaveLength(3);
  });

  it("is nothing that refusals and dry runs can have: they end as not known to be current", async () => {
    const ledger = await behindWire(400);
    const lost = wire.hold(answerTo(reads));
    const input = { from: "alice", asset, amount: 1_000n };
    const errors = await Promise.all([
      refusal(ledger.spend(input)),
      refusal(ledger.spend({ ...input, amount: 1n }, { dryRun: true })),
    ]);
    for (const error of errors) {
      expect(error).not.toBeInstanceOf(AppendOutcomeUnknownError);
      expect(codeOf(error)).toMatch(/read_timeout|jetstream_unavailable|command_timeout/);
    }
    lost.release();
    expect(codeOf(await refusal(ledger.spend(input)))).toBe("insufficient_funds");
    await spend(ledger, 1n);
  });
});

describe("a read that a command needs and that gets no answer", () => {
  it("ends that command, and no other: the ledger goes on", async () => {
    await spend(other, 1n, "a");
    const ledger = await behindWire(600);
    const bySequence = (frame: { readonly answerTo?: string | undefined }): boolean =>
      frame.answerTo !== undefined && /DIRECT\.GET\.[^.]+$/.test(frame.answerTo);
    const lost = wire.hold(bySequence);
    const outcomes = await Promise.allSettled([
      spend(ledger, 1n),
      spend(ledger, 1n, "a"),
      // behind the read in the queue, with time to spare
      spend(ledger, 1n, undefined, 10_000),
    ]);
    expect(lost.frames.length).toBeGreaterThan(0);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    lost.release();
    expect(await spend(ledger, 1n, "a")).toMatchObject({ replayed: true });
    expect(await auditLedger(other, [])).toHaveLength(4);
  });

  it("keeps nothing waiting that was decided before it", async () => {
    await spend(other, 1n, "a");
    const ledger = await behindWire(5_000);
    const held = wire.hold(
      (frame) => frame.answerTo !== undefined && /DIRECT\.GET\.[^.]+$/.test(frame.answerTo),
    );
    const before = spend(ledger, 1n);
    const repeated = spend(ledger, 1n, "a");
    expect(await before).toMatchObject({ replayed: false });
    await held.reached();
    held.release();
    expect(await repeated).toMatchObject({ replayed: true });
  });

  it("calls nothing a failure that may be stored", async () => {
    await spend(other, 1n, "a");
    const ledger = await behindWire(600);
    const acks = wire.hold(answerTo(stage.journal));
    const lost = wire.hold((frame) => answerTo(reads)(frame));
    const first = refusal(spend(ledger, 1n, "b"));
    await acks.reached();
    // decided while the first is on its way
    const repeated = refusal(spend(ledger, 1n, "a"));
    expect(codeOf(await first)).toMatch(/outcome_unknown/);
    await repeated;
    acks.release();
    lost.release();
    expect(await spend(ledger, 1n, "b")).toMatchObject({ replayed: true });
    expect(await auditLedger(other, [])).toHaveLength(3);
  });
});

describe("a connection that is cut again and again under load", () => {
  it("loses and doubles nothing; who asks again with the same key is told", async () => {
    for (let at = 0; at < 5; at++) await other.grant({ to: `account-${at}`, asset, amount: 50n });
    const ledger = await behindWire(2_000);
    const load = new Hammer("cut", 30, transferAmong(ledger, 5, asset));
    for (let round = 0; round < 8; round++) {
      await load.progress(60);
      wire.cut();
    }
    await load.progress(60);
    await load.stop();
    expect(load.failures).toEqual([]);
    const all = await auditLedger(other, load.done);
    expect(all).toHaveLength(load.done.length + 6);
  }, 60_000);

  it("loses and doubles nothing where every third ack is lost, while another process writes", async () => {
    for (let at = 0; at < 5; at++) await other.grant({ to: `account-${at}`, asset, amount: 50n });
    const ledger = await behindWire(2_000);
    let acks = 0;
    const lost = wire.drop((frame) => answerTo(stage.journal)(frame) && acks++ % 3 === 0, 1e6);
    const loads = [
      new Hammer("lossy", 20, transferAmong(ledger, 5, asset)),
      new Hammer("straight", 1, transferAmong(other, 5, asset)),
    ];
    const [lossy, straight] = loads;
    await lossy?.progress(100);
    await straight?.progress(100);
    await Promise.all(loads.map((load) => load.stop()));
    expect(loads.flatMap(({ failures }) => failures)).toEqual([]);
    expect(lost.frames.length).toBeGreaterThan(3);
    lost.stop();
    const done = loads.flatMap((load) => load.done);
    expect(await auditLedger(await stage.other(), done)).toHaveLength(done.length + 6);
  }, 60_000);
});
