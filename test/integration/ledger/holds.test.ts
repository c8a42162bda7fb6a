import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  HoldEndedError,
  HoldExceededError,
  HoldNotFoundError,
  InsufficientFundsError,
  type Ledger,
  WORLD,
} from "../../../src/ledger/index.ts";
import {
  CREDIT,
  day,
  everythingOf,
  LedgerStage,
  lotsOf,
  refusal,
  there,
  TODAY,
  transactionOf,
} from "./ledger-stage.ts";

let stage: LedgerStage;
let ledger: Ledger;

beforeEach(async () => {
  ({ stage, ledger } = await LedgerStage.create());
  await ledger.grant({ to: "alice", asset: CREDIT, amount: 100n });
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const expiresAt = day(TODAY + 10);

async function hold(amount: bigint, to?: string): Promise<string> {
  return (await ledger.hold({ from: "alice", asset, amount, to, expiresAt })).id;
}

/** What every process says alice can spend. */
async function available(): Promise<unknown> {
  const here = await ledger.available("alice", asset);
  expect(await (await stage.other()).available("alice", asset)).toBe(here);
  return here;
}

const spend = (amount: bigint) => ledger.spend({ from: "alice", asset, amount });

describe("a hold", () => {
  it("L20 counts against what can be spent, not against the balance", async () => {
    const id = await hold(60n, "shop");
    expect(await available()).toBe(40n);
    expect(await ledger.balance("alice", asset)).toBe(100n);
    expect(await ledger.holds("alice")).toEqual([
      { id, account: "alice", asset, to: "shop", remaining: 60n, expiresAt },
    ]);
    const error = await refusal(spend(41n));
    expect(error).toBeInstanceOf(InsufficientFundsError);
    expect(error).toMatchObject({ needed: 41n, available: 40n });
    await spend(40n);
    expect(await available()).toBe(0n);
  });

  it("L20 counts against other holds, and against what is taken in part", async () => {
    await hold(60n);
    expect(await refusal(hold(41n))).toMatchObject({ code: "insufficient_funds", available: 40n });
    await hold(30n);
    const partial = { onShortfall: "partial" } as const;
    expect((await ledger.spend({ from: "alice", asset, amount: 50n }, partial)).amounts).toEqual([
      10n,
    ]);
  });

  it("L20 counts until it is captured", async () => {
    const id = await hold(60n, "shop");
    const captured = await ledger.capture(id);
    expect(captured.amounts).toEqual([60n]);
    expect(await available()).toBe(40n);
    expect(await ledger.balance("alice", asset)).toBe(40n);
    expect(await ledger.balance("shop", asset)).toBe(60n);
    expect(await ledger.holds("alice")).toEqual([]);
    expect(await transactionOf(ledger, captured)).toMatchObject({ captures: id });
  });

  it("L20 counts until it is released", async () => {
    const id = await hold(60n);
    await ledger.release(id);
    expect(await available()).toBe(100n);
    expect(await ledger.holds("alice")).toEqual([]);
  });

  it("L20 counts until its instant is reached, and nothing is written then", async () => {
    const id = await hold(60n);
    const before = ledger.version;
    stage.nowMs = expiresAt.getTime() - 1;
    expect(await available()).toBe(40n);
    expect(await refusal(spend(41n))).toMatchObject({ available: 40n });
    stage.nowMs = expiresAt.getTime();
    expect(await available()).toBe(100n);
    expect(await ledger.holds("alice")).toEqual([]);
    const store = await stage.store();
    expect(await store.latestVersion({ type: "journal", id: "main" })).toBe(before);
    for (const late of [() => ledger.capture(id), () => ledger.release(id)]) {
      const error = await refusal(late());
      expect(error).toBeInstanceOf(HoldEndedError);
      expect(error).toMatchObject({ holdId: id, how: "expired" });
    }
    await spend(100n);
  });

  it("L20 is shown at other instants as it would be then", async () => {
    await hold(60n);
    const at = expiresAt;
    expect(await ledger.available("alice", asset, { at })).toBe(100n);
    expect(await ledger.holds("alice", { at })).toEqual([]);
    expect(await ledger.available("alice", asset)).toBe(40n);
  });

  it("L20 is the same for whoever replays the journal, in the middle of its life and after", async () => {
    const [one, two, three] = [await hold(10n), await hold(20n, "bob"), await hold(30n)];
    await ledger.capture(there(one), 4n, { final: false });
    await ledger.release(there(two));
    const living = await everythingOf(ledger, ["alice", "bob"]);
    expect(await everythingOf(await stage.other(), ["alice", "bob"])).toBe(living);
    stage.nowMs = expiresAt.getTime();
    await spend(90n);
    const ended = await everythingOf(ledger, ["alice", "bob"]);
    expect(await everythingOf(await stage.other(), ["alice", "bob"])).toBe(ended);
    expect(await refusal(ledger.release(there(three)))).toMatchObject({ how: "expired" });
  });

  it("is refused where its instant is not after now, or its account is world", async () => {
    for (const instant of [new Date(stage.nowMs), day(0)]) {
      const holding = ledger.hold({ from: "alice", asset, amount: 1n, expiresAt: instant });
      expect(await refusal(holding)).toMatchObject({
        code: "invalid_argument",
        argument: "expiresAt",
      });
    }
    const ofWorld = ledger.hold({ from: WORLD, asset, amount: 1n, expiresAt });
    expect(await refusal(ofWorld)).toMatchObject({ code: "invalid_argument", argument: "from" });
  });

  it("reserves what an overdraft allows", async () => {
    await ledger.openAccount("alice", { overdraft: 50n });
    const id = await hold(140n, "shop");
    expect(await available()).toBe(10n);
    expect((await ledger.capture(id)).amounts).toEqual([140n]);
    expect(await ledger.balance("alice", asset)).toBe(-40n);
  });

  it("takes key, reference, metadata and dry run as all commands do", async () => {
    const input = {
      from: "alice",
      asset,
      amount: 10n,
      expiresAt,
      reference: "r",
      metadata: { n: 1 },
    };
    expect(await ledger.hold(input, { dryRun: true })).toMatchObject({ id: "", version: 3 });
    const first = await ledger.hold(input, { idempotencyKey: "k" });
    for (const writer of [ledger, await stage.other()]) {
      expect(await writer.hold(input, { idempotencyKey: "k" })).toEqual({
        ...first,
        replayed: true,
      });
      expect(await writer.hold(input)).toEqual({ ...first, replayed: true });
      const more = { ...input, amount: 11n };
      expect(await refusal(writer.hold(more, { idempotencyKey: "k" }))).toMatchObject({
        code: "idempotency_conflict",
      });
      expect(await refusal(writer.hold(more))).toMatchObject({ code: "duplicate_reference" });
    }
    expect(await ledger.holds("alice")).toHaveLength(1);
  });
});

describe("a capture", () => {
  it("of a part releases the rest", async () => {
    const id = await hold(60n, "shop");
    expect((await ledger.capture(id, 25n)).amounts).toEqual([25n]);
    expect(await available()).toBe(75n);
    expect(await ledger.holds("alice")).toEqual([]);
    expect(await refusal(ledger.capture(id, 1n))).toMatchObject({
      code: "hold_ended",
      how: "captured or released",
    });
  });

  it("that is not final keeps the rest, until nothing is left", async () => {
    const id = await hold(60n, "shop");
    await ledger.capture(id, 25n, { final: false });
    expect(await available()).toBe(40n);
    expect(await ledger.holds("alice")).toMatchObject([{ id, remaining: 35n }]);
    await ledger.capture(id, 15n, { final: false });
    await ledger.capture(id, 20n, { final: false });
    expect(await ledger.holds("alice")).toEqual([]);
    expect(await ledger.balance("shop", asset)).toBe(60n);
    expect(await refusal(ledger.release(id))).toBeInstanceOf(HoldEndedError);
  });

  it("without an amount takes all that is left", async () => {
    const id = await hold(60n, "shop");
    await ledger.capture(id, 25n, { final: false });
    expect((await ledger.capture(id)).amounts).toEqual([35n]);
  });

  it("of more than is left is HoldExceededError, and changes nothing", async () => {
    const id = await hold(60n, "shop");
    await ledger.capture(id, 25n, { final: false });
    const before = await everythingOf(ledger, ["alice", "shop"]);
    const error = await refusal(ledger.capture(id, 36n));
    expect(error).toBeInstanceOf(HoldExceededError);
    expect(error).toMatchObject({ holdId: id, needed: 36n, remaining: 35n });
    expect(await everythingOf(ledger, ["alice", "shop"])).toBe(before);
  });

  it("pays whom it names, else whom the hold names, else world", async () => {
    await ledger.capture(await hold(10n, "shop"));
    await ledger.capture(await hold(10n, "shop"), undefined, { to: "bank" });
    await ledger.capture(await hold(10n));
    for (const [account, balance] of [
      ["shop", 10n],
      ["bank", 10n],
      [WORLD, -90n],
    ] as const)
      expect(await ledger.balance(account, asset)).toBe(balance);
    const toOneself = ledger.capture(await hold(10n), undefined, { to: "alice" });
    expect(await refusal(toOneself)).toMatchObject({ code: "invalid_argument", argument: "to" });
  });

  it("hands lots on as a transfer does, and says what is said of it", async () => {
    await ledger.spend({ from: "alice", asset, amount: 100n });
    await ledger.grant({ to: "alice", asset, amount: 10n, expiresAt: day(200) });
    const captured = await ledger.capture(await hold(10n, "shop"), 6n, {
      expiresAt: day(300),
      reference: "invoice-7",
      metadata: { n: 7 },
    });
    expect(await lotsOf(ledger, "shop")).toEqual([[0, 6n, day(200)]]);
    expect(await transactionOf(ledger, captured)).toMatchObject({
      reference: "invoice-7",
      metadata: { n: 7 },
    });
  });

  it("is refused where what was held has expired meanwhile; the hold stays as it was", async () => {
    await ledger.spend({ from: "alice", asset, amount: 100n });
    await ledger.grant({ to: "alice", asset, amount: 10n, expiresAt: day(TODAY + 5) });
    const id = await hold(10n, "shop");
    stage.nowMs = day(TODAY + 5).getTime();
    expect(await refusal(ledger.capture(id))).toMatchObject({
      code: "insufficient_funds",
      available: 0n,
    });
    expect(await ledger.holds("alice")).toMatchObject([{ id, remaining: 10n }]);
    await ledger.grant({ to: "alice", asset, amount: 10n });
    await ledger.capture(id);
  });

  it("does not take what another hold reserves", async () => {
    await ledger.spend({ from: "alice", asset, amount: 80n });
    await ledger.grant({ to: "alice", asset, amount: 10n, expiresAt: day(TODAY + 5) });
    const [one, other] = [await hold(15n, "shop"), await hold(15n, "shop")];
    stage.nowMs = day(TODAY + 5).getTime();
    // 20 are left of the 30 that were reserved
    expect(await refusal(ledger.capture(there(one)))).toMatchObject({ available: 5n });
    await ledger.release(there(other));
    await ledger.capture(there(one));
  });

  it("by one key happens once", async () => {
    const id = await hold(60n, "shop");
    const first = await ledger.capture(id, 25n, { final: false, idempotencyKey: "k" });
    for (const writer of [ledger, await stage.other()]) {
      const again = writer.capture(id, 25n, { final: false, idempotencyKey: "k" });
      expect(await again).toEqual({ ...first, replayed: true });
      const other = writer.capture(id, 26n, { final: false, idempotencyKey: "k" });
      expect(await refusal(other)).toMatchObject({ code: "idempotency_conflict" });
    }
    expect(await ledger.balance("shop", asset)).toBe(25n);
    expect(await ledger.capture(id, 1n, { dryRun: true })).toMatchObject({ id: "" });
    expect(await ledger.holds("alice")).toMatchObject([{ remaining: 35n }]);
  });

  it("and a release at the same time: one of them wins", async () => {
    const other = await stage.other();
    for (let round = 0; round < 10; round++) {
      const id = await hold(5n, "shop");
      const before = await ledger.balance("shop", asset, { fresh: true });
      const [captured, released] = await Promise.allSettled([
        ledger.capture(id),
        other.release(id),
      ]);
      expect([captured.status, released.status].toSorted()).toEqual(["fulfilled", "rejected"]);
      const paid = (await ledger.balance("shop", asset, { fresh: true })) - before;
      expect(paid).toBe(captured.status === "fulfilled" ? 5n : 0n);
      expect(await ledger.holds("alice")).toEqual([]);
    }
  });
});

describe("a hold that is not there", () => {
  it("is HoldNotFoundError for captures and releases", async () => {
    const granted = await ledger.grant({ to: "bob", asset, amount: 1n });
    for (const id of [granted.id, "999999.0", `${granted.position}.7`]) {
      for (const command of [() => ledger.capture(id), () => ledger.release(id)]) {
        const error = await refusal(command());
        expect(error).toBeInstanceOf(HoldNotFoundError);
        expect(error).toMatchObject({ code: "hold_not_found", holdId: id });
      }
    }
  });

  it("is ended for whoever releases it twice, also in one group", async () => {
    const id = await hold(60n);
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => ledger.release(id)));
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    expect(await refusal(ledger.release(id))).toMatchObject({ how: "captured or released" });
  });
});
