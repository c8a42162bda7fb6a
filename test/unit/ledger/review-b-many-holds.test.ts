import { describe, expect, it } from "vitest";
import { MAX_HOLDS } from "../../../src/ledger/decide-hold.ts";
import { type ActiveHold, Holding } from "../../../src/ledger/holding.ts";
import { LedgerProcess, MemoryJournal } from "../../support/ledger-process.ts";
import type { NaiveCommand } from "../../support/naive-commands.ts";

const GOLD = { asset: "GOLD" };

/** A hold that counts how often somebody looks when it ends. */
function counted(version: number, looks: { count: number }): ActiveHold {
  return {
    version,
    commit: { position: version, firstVersion: version },
    to: "b",
    remaining: 2n,
    get expiresAt() {
      looks.count++;
      return 1_000 + version;
    },
  };
}

describe("many holds of one account", () => {
  it("are not looked at by a posting before the first of them ends", () => {
    const looks = { count: 0 };
    const list = Array.from({ length: 500 }, (_, n) => counted(n, looks));
    const holding = new Holding(5_000n, 0n, undefined, list);
    looks.count = 0;
    expect(holding.spendable(999, 999)).toBe(4_000n);
    const next = new Holding(4_999n, 0n, undefined, holding.holdsAt(999));
    expect(next.heldAt(999)).toBe(1_000n);
    expect(next.holds).toBe(list);
    expect(looks.count).toBe(0);
    expect(next.heldAt(1_099)).toBe(800n);
    expect(next.holdsAt(1_099).held).toBe(800n);
    expect(next.holdsAt(1_099).list).toHaveLength(400);
  });

  it("come to the same when some are reduced and ended", () => {
    const looks = { count: 0 };
    const list = Array.from({ length: 5 }, (_, n) => counted(2 * n, looks));
    const holds = new Holding(0n, 0n, undefined, list).holdsAt(0);
    const left = holds.reduced(0, 0n).reduced(4, 1n).reduced(3, 0n).with(counted(10, looks));
    expect(left.list.map(({ version }) => version)).toEqual([2, 4, 6, 8, 10]);
    expect(left.held).toBe(9n);
    expect(left.heldAt(1_004)).toBe(6n);
    expect(left.find(4)).toMatchObject({ remaining: 1n });
    expect(left.find(5)).toBeUndefined();
  });

  it("are refused beyond a bound, until one of them ends", { timeout: 60_000 }, () => {
    const journal = new MemoryJournal({
      kind: "opened",
      decidedAt: 0,
      key: undefined,
      content: undefined,
      drainPolicy: "emission-first@1",
      lots: false,
      overdraft: 1_000_000n,
      idempotencyKeys: 100,
      seeds: [1, 2],
    });
    let now = 10;
    const process = new LedgerProcess(journal, () => now);
    const hold = (expiresAt: number): NaiveCommand => {
      const input = { from: "a", ...GOLD, amount: 1n, expiresAt: new Date(expiresAt) };
      return { does: "hold", input, options: {} };
    };
    process.submit([hold(1_000)]);
    for (let placed = 1; placed < MAX_HOLDS; placed++) process.submit([hold(2_000)]);
    process.submit([hold(2_000)]);
    process.send();
    const verdicts = process.land({ lost: false })?.flatMap((landed) => landed.verdicts) ?? [];
    expect(verdicts.at(-2)).toMatchObject({ version: MAX_HOLDS + 1 });
    expect(verdicts.at(-1)).toEqual({ refused: "precondition_failed" });
    now = 1_000;
    process.submit([hold(2_000)]);
    process.send();
    expect(process.land({ lost: false })?.[0]?.verdicts).toMatchObject([
      { version: MAX_HOLDS + 2 },
    ]);
  });
});
