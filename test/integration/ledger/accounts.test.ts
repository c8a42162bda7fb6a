import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AccountNotUsableError,
  AccountOptionsError,
  type Ledger,
  WORLD,
} from "../../../src/ledger/index.ts";
import { CREDIT, day, LedgerStage, lotsOf, refusal, TODAY } from "./ledger-stage.ts";

let stage: LedgerStage;
let ledger: Ledger;

beforeEach(async () => {
  ({ stage, ledger } = await LedgerStage.create());
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const grant = (to: string, amount = 10n) => ledger.grant({ to, asset, amount });
const spend = (from: string, amount: bigint) => ledger.spend({ from, asset, amount });

const usual = {
  account: "alice",
  lots: true,
  issuer: false,
  overdraft: 0n,
  frozen: false,
  closed: false,
  metadata: {},
} as const;

describe("an account", () => {
  it("that nobody opened behaves as the ledger's settings say", async () => {
    expect(await ledger.account("alice")).toBeUndefined();
    await grant("alice");
    expect(await ledger.account("alice")).toEqual(usual);
    const created = await LedgerStage.create({ accounts: { lots: false, overdraft: "unlimited" } });
    await using other = created.stage;
    await created.ledger.spend({ from: "alice", asset, amount: 7n });
    const expected = { ...usual, lots: false, overdraft: "unlimited" };
    expect(await created.ledger.account("alice")).toEqual(expected);
    expect(await (await other.other()).account("alice")).toEqual(expected);
    expect(await created.ledger.balance("alice", asset)).toBe(-7n);
  });

  it("is what it was opened as, for every process", async () => {
    const options = { lots: false, overdraft: 50n, frozen: true };
    await ledger.openAccount("alice", options);
    for (const reader of [ledger, await stage.other()])
      expect(await reader.account("alice")).toEqual({ ...usual, ...options });
  });

  it("keeps what a change does not mention", async () => {
    await ledger.openAccount("alice", { overdraft: 50n, lots: false });
    await ledger.openAccount("alice", { frozen: true });
    await ledger.openAccount("alice", { issuer: true });
    await ledger.openAccount("alice");
    const expected = { ...usual, overdraft: 50n, lots: false, frozen: true, issuer: true };
    for (const reader of [ledger, await stage.other()])
      expect(await reader.account("alice")).toEqual(expected);
  });

  it("may be given another overdraft at any time; what it owes it owes", async () => {
    await ledger.openAccount("alice", { overdraft: 50n });
    await spend("alice", 50n);
    await ledger.openAccount("alice", { overdraft: 10n });
    expect(await ledger.available("alice", asset)).toBe(-40n);
    expect(await refusal(spend("alice", 1n))).toMatchObject({ needed: 1n, available: -40n });
    const partial = { onShortfall: "partial" } as const;
    expect((await ledger.spend({ from: "alice", asset, amount: 1n }, partial)).amounts).toEqual([
      0n,
    ]);
    await ledger.openAccount("alice", { overdraft: "unlimited" });
    await spend("alice", 1_000n);
    expect(await ledger.balance("alice", asset)).toBe(-1_050n);
  });

  it.each([{ lots: false }, { issuer: true }])(
    "has what its first posting fixed: %o is AccountOptionsError from then on",
    async (change) => {
      await grant("alice");
      const error = await refusal(ledger.openAccount("alice", change));
      expect(error).toBeInstanceOf(AccountOptionsError);
      expect(error).toMatchObject({ code: "account_options", account: "alice" });
      expect(await ledger.account("alice")).toEqual(usual);
      await ledger.openAccount("alice", { lots: true, issuer: false });
    },
  );

  it("world cannot be changed", async () => {
    for (const change of [{ overdraft: 1n }, { frozen: true }, { closed: true }] as const)
      expect(await refusal(ledger.openAccount(WORLD, change))).toMatchObject({
        code: "invalid_argument",
        argument: "account",
      });
  });

  it("that pays without having does so in one asset as in another", async () => {
    await ledger.openAccount("acme", { issuer: true });
    for (const of of [asset, "GOLD"])
      await ledger.transfer({ from: "acme", asset: of, to: [{ account: "bob", amount: 5n }] });
    expect(await ledger.details("acme", asset)).toEqual({ total: -5n, debt: 5n, details: [] });
    await ledger.transfer({ from: "bob", asset, to: [{ account: "acme", amount: 5n }] });
    expect(await ledger.details("acme", asset)).toEqual({ total: 0n, debt: 0n, details: [] });
    expect(await lotsOf(ledger, "acme")).toEqual([]);
  });
});

const uses = [
  ["pays", (of: Ledger) => of.spend({ from: "alice", asset, amount: 1n })],
  ["receives", (of: Ledger) => of.grant({ to: "alice", asset, amount: 1n })],
  ["holds", (of: Ledger) => of.hold({ from: "alice", asset, amount: 1n, expiresAt: day(200) })],
] as const;

describe("a frozen account", () => {
  it.each(uses)("neither pays nor receives nor holds until it is thawed: %s", async (_, use) => {
    await grant("alice");
    await ledger.openAccount("alice", { frozen: true });
    for (const writer of [ledger, await stage.other()]) {
      const error = await refusal(use(writer));
      expect(error).toBeInstanceOf(AccountNotUsableError);
      expect(error).toMatchObject({
        code: "account_not_usable",
        account: "alice",
        state: "frozen",
      });
    }
    expect(await ledger.balance("alice", asset)).toBe(10n);
    await ledger.openAccount("alice", { frozen: false });
    await use(ledger);
  });

  it("is not captured from, and its postings are not reverted", async () => {
    const { id } = await grant("alice");
    const hold = await ledger.hold({ from: "alice", asset, amount: 1n, expiresAt: day(200) });
    await ledger.openAccount("alice", { frozen: true });
    expect(await refusal(ledger.capture(hold.id))).toMatchObject({ code: "account_not_usable" });
    expect(await refusal(ledger.revert(id))).toMatchObject({ code: "account_not_usable" });
    await ledger.release(hold.id);
  });
});

describe("a closed account", () => {
  it.each(uses)("neither pays nor receives nor holds: %s", async (_, use) => {
    await grant("alice");
    await spend("alice", 10n);
    await ledger.openAccount("alice", { closed: true });
    for (const writer of [ledger, await stage.other()])
      expect(await refusal(use(writer))).toMatchObject({
        code: "account_not_usable",
        account: "alice",
        state: "closed",
      });
  });

  it("stays closed", async () => {
    await ledger.openAccount("alice", { closed: true });
    for (const change of [{}, { frozen: true }, { overdraft: 5n }])
      expect(await refusal(ledger.openAccount("alice", change))).toMatchObject({ state: "closed" });
    expect(await ledger.account("alice")).toEqual({ ...usual, closed: true });
  });

  it("had nothing: no balance, no debt, nothing held", async () => {
    const close = () => ledger.openAccount("alice", { closed: true });
    await ledger.openAccount("alice", { overdraft: 5n });
    await grant("alice");
    expect(await refusal(close())).toBeInstanceOf(AccountOptionsError);
    await spend("alice", 15n);
    expect(await refusal(close())).toBeInstanceOf(AccountOptionsError);
    await grant("alice", 5n);
    const hold = await ledger.hold({ from: "alice", asset, amount: 5n, expiresAt: day(200) });
    expect(await refusal(close())).toBeInstanceOf(AccountOptionsError);
    await ledger.release(hold.id);
    await close();
  });

  it("may have had what has expired since, and holds that have ended by themselves", async () => {
    await ledger.openAccount("alice", { overdraft: 5n });
    await ledger.grant({ to: "alice", asset, amount: 10n, expiresAt: day(TODAY + 1) });
    await ledger.hold({ from: "alice", asset, amount: 5n, expiresAt: day(TODAY + 2) });
    stage.nowMs = day(TODAY + 2).getTime();
    expect(await ledger.balance("alice", asset)).toBe(0n);
    expect(await ledger.holds("alice")).toEqual([]);
    await ledger.openAccount("alice", { closed: true });
    expect(await (await stage.other()).account("alice")).toMatchObject({ closed: true });
  });

  it("is not what an account becomes that something is on its way to", async () => {
    // decided in one group, in the order of their arrival
    const [granted, closed] = await Promise.allSettled([
      grant("alice"),
      ledger.openAccount("alice", { closed: true }),
    ]);
    expect([granted.status, closed.status]).toEqual(["fulfilled", "rejected"]);
    const [closing, late] = await Promise.allSettled([
      ledger.openAccount("bob", { closed: true }),
      grant("bob"),
    ]);
    expect([closing.status, late.status]).toEqual(["fulfilled", "rejected"]);
  });
});

describe("opening an account", () => {
  it("takes key, dry run and preconditions as all commands do", async () => {
    const change = { overdraft: 5n };
    expect(await ledger.openAccount("alice", change, { dryRun: true })).toMatchObject({ id: "" });
    expect(await ledger.account("alice")).toBeUndefined();
    const first = await ledger.openAccount("alice", change, { idempotencyKey: "k" });
    for (const writer of [ledger, await stage.other()]) {
      const again = writer.openAccount("alice", change, { idempotencyKey: "k" });
      expect(await again).toEqual({ ...first, replayed: true });
      const other = writer.openAccount("alice", { overdraft: 6n }, { idempotencyKey: "k" });
      expect(await refusal(other)).toMatchObject({ code: "idempotency_conflict" });
    }
    const late = ledger.openAccount("alice", change, { expect: { version: 1 } });
    expect(await refusal(late)).toMatchObject({ code: "precondition_failed" });
    expect(ledger.version).toBe(2);
  });
});
