import { describe, expect, it } from "vitest";
import { Decider } from "../../../src/ledger/decider.ts";
import { NO_LOOKUPS } from "../../../src/ledger/lookups.ts";
import { askedOf, batchOf } from "../../support/ledger-asking.ts";
import { LedgerProcess, MemoryJournal } from "../../support/ledger-process.ts";
import type { NaiveCommand } from "../../support/naive-commands.ts";

const GOLD = { asset: "GOLD" };
const noOptions = { options: {} };

function grant(to: string, amount: bigint, expiresAt?: Date): NaiveCommand {
  return { does: "grant", input: { to, ...GOLD, amount, expiresAt }, ...noOptions };
}

function posting(source: string, destination: string, amount: bigint) {
  return { source, destination, ...GOLD, amount };
}

/** A ledger of one process, whose commands are acknowledged one by one. */
class Alone {
  readonly journal = new MemoryJournal({
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
  now = 1_000;
  readonly process = new LedgerProcess(this.journal, () => this.now);

  does(...commands: NaiveCommand[]) {
    return commands.flatMap((command) => this.#acknowledged([command]));
  }

  tries(...commands: NaiveCommand[]) {
    return this.#acknowledged(commands, { dryRun: true });
  }

  #acknowledged(commands: NaiveCommand[], batch?: { readonly dryRun: boolean }) {
    this.process.submit(commands, batch);
    this.process.send();
    return this.process.land({ lost: false })?.flatMap(({ verdicts }) => verdicts) ?? [];
  }
}

describe("what is decided", () => {
  it("of a dry run of a batch counts on what the transactions before did, and leaves nothing", () => {
    const alone = new Alone();
    const spend: NaiveCommand = {
      does: "spend",
      ...noOptions,
      input: { from: "a", ...GOLD, amount: 7n },
    };
    expect(alone.tries(grant("a", 3n), grant("a", 4n), spend)).toEqual([
      { version: 2, amounts: [3n], replayed: false },
      { version: 3, amounts: [4n], replayed: false },
      { version: 4, amounts: [7n], replayed: false },
    ]);
    expect(alone.does(spend)).toMatchObject([{ refused: "insufficient_funds" }]);
    expect(alone.journal.length).toBe(1);
  });

  it("L12 repeats a transaction of the same dry run, and neither has a place", () => {
    const { journal } = new Alone();
    const decider = new Decider(journal.replayed(), 1_000_000);
    const keyed: NaiveCommand = { ...grant("a", 3n), options: { idempotencyKey: "once" } };
    const batch = batchOf([keyed, keyed], true, journal.idOf);
    if (batch.kind !== "batch") throw new Error("no batch");
    const decided = decider.decideAll(batch, NO_LOOKUPS, 1_000);
    expect(decided).toMatchObject([
      { version: 2, commit: undefined },
      { version: 2, commit: undefined },
    ]);
  });

  it("L12 repeats in a dry run what is there already, in its place", () => {
    const { journal } = new Alone();
    const decider = new Decider(journal.replayed(), 1_000_000);
    const keyed: NaiveCommand = { ...grant("a", 3n), options: { idempotencyKey: "once" } };
    const first = decider.decide(askedOf(keyed, journal.idOf), NO_LOOKUPS, 1_000);
    const batch = batchOf([keyed, grant("a", 4n)], true, journal.idOf);
    if (batch.kind !== "batch") throw new Error("no batch");
    expect(decider.decideAll(batch, NO_LOOKUPS, 1_000)).toMatchObject([
      { version: 2, dryRun: false, replayed: true, commit: first.commit },
      { version: 3, dryRun: true, replayed: false, commit: undefined },
    ]);
  });

  it("says that an account is frozen before it says that another one is short of funds", () => {
    const alone = new Alone();
    const postings = [posting("a", "b", 1n), posting("b", "c", 1n)];
    const [, verdict] = alone.does(
      { does: "account", account: "c", change: { frozen: true }, ...noOptions },
      { does: "post", input: { postings }, ...noOptions },
    );
    expect(verdict).toEqual({ refused: "account_not_usable" });
  });

  it("R7 reverts where an account gives back out of what it gets back", () => {
    const alone = new Alone();
    const both = [posting("a", "b", 5n), posting("world", "a", 5n)];
    const [, moved, , reverted] = alone.does(
      grant("a", 5n),
      { does: "post", input: { postings: both }, ...noOptions },
      { does: "spend", input: { from: "a", ...GOLD, amount: 5n }, ...noOptions },
      { does: "revert", target: 3, ...noOptions },
    );
    expect(moved).toMatchObject({ version: 3 });
    expect(reverted).toEqual({ version: 5, amounts: [5n, 5n], replayed: false });
    expect(alone.process.state.books.accounts.get("a")?.holding("GOLD")?.confirmed).toMatchObject({
      balance: 0n,
      debt: 0n,
    });
  });

  it("R7 refuses a revert that leaves an account below zero, whatever its overdraft", () => {
    const alone = new Alone();
    const [, , , refused, forced] = alone.does(
      { does: "account", account: "a", change: { overdraft: "unlimited" }, ...noOptions },
      grant("a", 5n),
      { does: "spend", input: { from: "a", ...GOLD, amount: 2n }, ...noOptions },
      { does: "revert", target: 3, ...noOptions },
      { does: "revert", target: 3, options: { force: true } },
    );
    expect(refused).toEqual({ refused: "insufficient_funds", funds: ["a", "GOLD", 5n, 3n] });
    expect(forced).toMatchObject({ version: 5 });
  });

  it("L20 closes an account whose hold has ended and whose credits have expired", () => {
    const alone = new Alone();
    const expiresAt = new Date(1_010);
    const close: NaiveCommand = {
      does: "account",
      account: "a",
      ...noOptions,
      change: { closed: true },
    };
    const [, held, early] = alone.does(
      grant("a", 5n, expiresAt),
      { does: "hold", input: { from: "a", ...GOLD, amount: 2n, expiresAt }, ...noOptions },
      close,
    );
    expect([held, early]).toMatchObject([{ version: 3 }, { refused: "account_options" }]);
    alone.now = 1_010;
    expect(alone.does(close)).toMatchObject([{ version: 4 }]);
  });
});
