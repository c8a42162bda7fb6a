import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Ledger, Ledgers } from "../../../src/ledger/index.ts";
import { CREDIT, LedgerStage, refusal } from "./ledger-stage.ts";

let stage: LedgerStage;
let ledgers: Ledgers;
let ledger: Ledger;

beforeEach(async () => {
  stage = new LedgerStage();
  ledgers = await stage.ledgers();
  await ledgers.create("main", { bucket: "eu" });
  ledger = await ledgers.open("main");
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;

describe("an overdraft", () => {
  it("L3 is below 2^127, like amounts, and one that is not hurts no other command", async () => {
    const granted = ledger.grant({ to: "alice", asset, amount: 1n });
    const argument = "overdraft";
    for (const overdraft of [1n << 127n, 1n << 100_000n])
      expect(await refusal(ledger.openAccount("x", { overdraft }))).toMatchObject({ argument });
    await granted;
    const overdraft = (1n << 127n) - 1n;
    await ledger.openAccount("x", { overdraft });
    expect(await ledger.available("x", asset)).toBe(overdraft);
    const settings = { accounts: { overdraft: 1n << 127n } };
    expect(await refusal(ledgers.create("other", { bucket: "eu", settings }))).toMatchObject({
      argument: "settings.accounts.overdraft",
    });
  });
});
