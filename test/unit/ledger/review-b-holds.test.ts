import { describe, expect, it } from "vitest";
import type { FundsOptions } from "../../../src/ledger/commands.ts";
import { LedgerProcess, MemoryJournal } from "../../support/ledger-process.ts";
import type { NaiveCommand } from "../../support/naive-commands.ts";

const GOLD = { asset: "GOLD" };
const END = new Date(9_000);

/** A ledger of one process, whose clock each command sets; each command is acknowledged at once. */
function begin(): (now: number, command: NaiveCommand) => unknown {
  const journal = new MemoryJournal({
    kind: "opened",
    decidedAt: 0,
    key: undefined,
    content: undefined,
    drainPolicy: "emission-first@1",
    lots: true,
    overdraft: 0n,
    idempotencyKeys: 100,
    seeds: [1, 2],
  });
  let time = 0;
  const process = new LedgerProcess(journal, () => time);
  return (now, command) => {
    time = now;
    process.submit([command]);
    process.send();
    return process.land({ lost: false })?.[0]?.verdicts[0];
  };
}

function grant(expiresAt?: number, amount = 100n): NaiveCommand {
  const end = expiresAt === undefined ? {} : { expiresAt: new Date(expiresAt) };
  return { does: "grant", input: { to: "a", ...GOLD, amount, ...end }, options: {} };
}

function spend(amount: bigint, at: number, options: FundsOptions = {}): NaiveCommand {
  return { does: "spend", input: { from: "a", ...GOLD, amount, at: new Date(at) }, options };
}

function hold(amount: bigint, at?: number): NaiveCommand {
  const when = at === undefined ? {} : { at: new Date(at) };
  const input = { from: "a", ...GOLD, amount, expiresAt: END, ...when };
  return { does: "hold", input, options: {} };
}

function short(needed: bigint, available: bigint) {
  return { refused: "insufficient_funds", funds: ["a", "GOLD", needed, available] };
}

describe("what is held now cannot be had as of the past", () => {
  it("L19 L20 where the lots that come first are those that are left", () => {
    const does = begin();
    does(1_000, grant());
    does(1_100, grant(1_500));
    expect(does(2_000, hold(70n))).toMatchObject({ version: 4 });
    expect(does(2_000, spend(31n, 1_200))).toEqual(short(31n, 30n));
    expect(does(2_000, spend(500n, 1_200))).toEqual(short(500n, 30n));
    const partial = does(2_000, spend(60n, 1_200, { onShortfall: "partial" }));
    expect(partial).toMatchObject({ amounts: [30n] });
    const capture: NaiveCommand = { does: "capture", hold: 4, amount: undefined, options: {} };
    expect(does(2_000, capture)).toMatchObject({ amounts: [70n] });
  });

  it("L19 L20 but what has expired by now can", () => {
    const does = begin();
    does(1_000, grant(1_500));
    does(1_100, grant());
    does(2_000, hold(70n));
    expect(does(2_000, spend(131n, 1_200))).toEqual(short(131n, 130n));
    expect(does(2_000, spend(130n, 1_200))).toMatchObject({ amounts: [130n] });
  });

  it("L19 L20 while a capture takes what it holds itself", () => {
    const does = begin();
    does(1_000, grant());
    does(1_000, grant());
    does(1_100, grant(1_500));
    does(2_000, hold(100n));
    does(2_000, hold(90n));
    const at = new Date(1_200);
    expect(does(2_000, spend(11n, 1_200))).toEqual(short(11n, 10n));
    const capture: NaiveCommand = { does: "capture", hold: 5, amount: 100n, options: { at } };
    expect(does(2_000, capture)).toMatchObject({ amounts: [100n] });
    expect(does(2_000, spend(11n, 1_200))).toEqual(short(11n, 10n));
  });

  it("L19 L20 by a hold on what has expired since", () => {
    const does = begin();
    does(1_000, grant(1_500));
    does(1_000, grant(undefined, 5n));
    expect(does(2_000, hold(6n, 1_200))).toEqual(short(6n, 5n));
    expect(does(2_000, hold(5n, 1_200))).toMatchObject({ version: 4 });
  });

  it("R7 L20 by a revert at its effective date", () => {
    const does = begin();
    does(1_000, grant());
    does(1_000, grant());
    does(1_000, grant(1_500));
    does(1_030, spend(100n, 1_030));
    does(2_000, hold(100n));
    const revert = (force: boolean): NaiveCommand => {
      return { does: "revert", target: 2, options: { atEffectiveDate: true, force } };
    };
    expect(does(2_000, revert(false))).toMatchObject({ refused: "insufficient_funds" });
    expect(does(2_000, revert(true))).toMatchObject({ amounts: [100n] });
  });
});
