import { describe, expect, it } from "vitest";
import type { PostingInput } from "../../../src/ledger/commands.ts";
import { MAX_TOUCHED } from "../../../src/ledger/decide-postings.ts";
import { balanceKey, ledgerBalances, TransactionTooLargeError } from "../../../src/ledger/index.ts";
import { kvState, startProjector } from "../../../src/projection/index.ts";
import { CREDIT, LedgerStage } from "./ledger-stage.ts";

/** Each touches an account and makes a lot, all together one account more. */
function grants(count: number): PostingInput[] {
  return Array.from({ length: count }, (_, n) => {
    return { source: "world", destination: `to-${n}`, asset: CREDIT, amount: 1n };
  });
}

describe("the largest transaction", () => {
  it("is one that the read model takes; a larger one is refused before it is written", async () => {
    const { stage, ledger } = await LedgerStage.create();
    const most = Math.floor((MAX_TOUCHED - 1) / 2);
    await using projector = await startProjector(await stage.store(), ledgerBalances(), {
      state: kvState({ bucket: stage.stream }),
    });
    await expect(ledger.post({ postings: grants(most + 1) })).rejects.toThrow(
      TransactionTooLargeError,
    );
    const { version } = await ledger.post({ postings: grants(most) });
    // many postings between few accounts touch little; each drain of the same lot counts, though
    const one = { source: "sum", destination: "other-sum", asset: CREDIT, amount: 1n };
    for (const account of ["sum", "other-sum"])
      await ledger.openAccount(account, { lots: false, overdraft: "unlimited" });
    await ledger.post({ postings: Array.from({ length: 1_000 }, () => one) });
    await projector.caughtUp();
    const row = await projector.tables.balances.get(balanceKey("main", `to-${most - 1}`, CREDIT));
    expect(row).toMatchObject({ balance: 1n, version });
    const sum = await projector.tables.balances.get(balanceKey("main", "other-sum", CREDIT));
    expect(sum).toMatchObject({ balance: 1_000n });
  });

  it("counts what it drains", async () => {
    const { ledger } = await LedgerStage.create();
    const lots = Array.from({ length: MAX_TOUCHED - 3 }, () => ({
      source: "world",
      destination: "alice",
      asset: CREDIT,
      amount: 1n,
    }));
    await ledger.post({ postings: lots });
    await ledger.post({ postings: lots });
    const spend = { from: "alice", asset: CREDIT };
    await expect(ledger.spend({ ...spend, amount: BigInt(MAX_TOUCHED - 1) })).rejects.toMatchObject(
      { code: "transaction_too_large", limit: MAX_TOUCHED },
    );
    await ledger.spend({ ...spend, amount: BigInt(MAX_TOUCHED - 2) });
  });
});
