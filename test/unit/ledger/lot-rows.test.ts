import { describe, expect, it } from "vitest";
import { MOST_ROWS } from "../../../src/ledger/holding-table.ts";
import type { PostingInput } from "../../../src/ledger/commands.ts";
import type { MadeLot, PostedEntry, PostingEntry } from "../../../src/ledger/journal-entry.ts";
import { preparePost } from "../../../src/ledger/prepare.ts";
import {
  prepareAccountChange,
  prepareHold,
  prepareRelease,
} from "../../../src/ledger/prepare-more.ts";
import type { PendingCommit } from "../../../src/ledger/state.ts";
import { DecidingLedger } from "../../support/deciding-ledger.ts";

const ASSET = "CREDIT/2";
const NOW = 1_000;

class Bench {
  readonly ledger = new DecidingLedger("emission-first@1");
  #position = 1;

  post(postings: readonly Partial<PostingInput>[], at = NOW): unknown {
    return this.ledger.decide(this.asked(postings), at);
  }

  /** Posts and acknowledges. */
  done(...postings: readonly Partial<PostingInput>[]): void {
    const outcome = this.post(postings);
    if (outcome instanceof Error) throw outcome;
    this.acknowledge();
  }

  /** All of several transactions, each as of an instant, of which nothing stays. */
  tried(...posts: readonly (readonly [at: number, posting: Partial<PostingInput>])[]): unknown {
    const options = { key: undefined, expect: undefined, dryRun: true };
    const all = posts.map(([at, posting]) => ({ ...this.asked([posting]), at }));
    return this.ledger.decide({ kind: "batch", options, posts: all }, NOW);
  }

  acknowledge(sent: PendingCommit = this.ledger.state.close()): void {
    this.ledger.confirm(sent, ++this.#position);
  }

  /** How many rows the lots of an account have; undefined where it is whole. */
  rowsOf(account: string): number | undefined {
    const { books } = this.ledger.state;
    const cell = books.accounts.get(account)?.holding(ASSET);
    return cell === undefined ? undefined : books.lots(cell.slot)?.size;
  }

  lotsOf(account: string): number | undefined {
    return this.ledger.state.books.accounts.get(account)?.holding(ASSET)?.confirmed?.lots?.size;
  }

  asked(postings: readonly Partial<PostingInput>[]) {
    const usual = { source: "world", destination: "a", asset: ASSET, amount: 1n };
    return preparePost({ postings: postings.map((posting) => ({ ...usual, ...posting })) });
  }
}

function grants(count: number): Partial<PostingInput>[] {
  return Array.from({ length: count }, () => ({}));
}

describe("lots in rows", () => {
  it("are given up once it is acknowledged that nothing is left of them", () => {
    const bench = new Bench();
    bench.done({ amount: 5n }, { amount: 5n });
    bench.post([{ source: "a", destination: "b", amount: 7n }]);
    expect(bench.rowsOf("a")).toBe(2);
    bench.acknowledge();
    expect(bench.rowsOf("a")).toBe(1);
    expect(bench.rowsOf("b")).toBe(1);
    expect(bench.lotsOf("a")).toBe(1);
  });

  it("are given up with the command, or the group, that has made them", () => {
    const bench = new Bench();
    bench.done({ amount: 5n });
    bench.tried([NOW, { amount: 6n }]);
    expect(bench.rowsOf("a")).toBe(1);
    bench.post([{ amount: 7n }]);
    expect(bench.rowsOf("a")).toBe(2);
    bench.ledger.rollback([]);
    expect(bench.rowsOf("a")).toBe(1);
  });

  const back = { source: "a", destination: "b", amount: 4n };

  it.each<[string, (bench: Bench) => void]>([
    // what is drained first has expired, and is set apart, when the second one is decided
    ["command", (bench) => bench.tried([NOW - 10, back], [NOW, back])],
    [
      "group",
      (bench) => {
        bench.post([back], NOW - 10);
        bench.post([back], NOW);
        bench.ledger.rollback([]);
      },
    ],
  ])("can be drained as before a %s that was taken back", (_, tryOut) => {
    const bench = new Bench();
    bench.post([{ amount: 9n, expiresAt: new Date(NOW - 5) }, { amount: 9n }], NOW - 20);
    bench.acknowledge();
    tryOut(bench);
    const too = bench.post([{ source: "a", destination: "b", amount: 10n }]);
    expect(too).toMatchObject({ code: "insufficient_funds", available: 9n });
    const all = bench.post([{ source: "a", destination: "b", amount: 9n }]);
    expect(all).toMatchObject({ dryRun: false });
  });

  it("are drained as of an instant before they expired, after they did", () => {
    const bench = new Bench();
    bench.post([{ amount: 9n, expiresAt: new Date(NOW - 5) }, { amount: 9n }], NOW - 20);
    bench.post([back], NOW);
    const asOf = { ...bench.asked([back]), at: NOW - 10 };
    bench.ledger.decide(asOf, NOW);
    bench.post([back], NOW);
    const drained = bench.ledger.state.openEntries
      .slice(-2)
      .map((entry) =>
        entry?.kind === "posted" ? entry.postings.map((posting) => posting.drained) : undefined,
      );
    expect(drained).toMatchObject([
      [[{ lotIndex: 0, amount: 4n }]],
      [[{ lotIndex: 1, amount: 4n }]],
    ]);
  });

  it("are counted where another process drains what was set apart here", () => {
    const bench = new Bench();
    bench.post([{ amount: 9n, expiresAt: new Date(NOW - 5) }, { amount: 9n }], NOW - 20);
    bench.acknowledge();
    expect(bench.post([{ ...back, amount: 10n }])).toMatchObject({ available: 9n });
    const part = { version: 2, lotIndex: 0, amount: 4n, expiresAt: NOW - 5 };
    bench.ledger.state.apply(posted({ ...back, drained: [part], made: [made(1, 4n)] }));
    expect(bench.post([{ ...back, amount: 10n }])).toMatchObject({ available: 9n });
  });

  it("become whole where they are too many, and rows again where they are few", () => {
    const bench = new Bench();
    bench.done(...grants(MOST_ROWS));
    expect(bench.rowsOf("a")).toBe(MOST_ROWS);
    bench.done(...grants(1));
    expect(bench.rowsOf("a")).toBeUndefined();
    expect(bench.lotsOf("a")).toBe(MOST_ROWS + 1);
    const few = 16;
    bench.done({ source: "a", destination: "b", amount: BigInt(MOST_ROWS - few) });
    expect(bench.rowsOf("a")).toBeUndefined();
    bench.done({ source: "a", destination: "b", amount: 1n });
    expect(bench.rowsOf("a")).toBe(few);
    expect(bench.lotsOf("a")).toBe(few);
  });

  it("become whole where a transfer makes too many", () => {
    const bench = new Bench();
    // each a lot of the receiver's too, as no two expire at once
    const expiring = grants(200).map((_, at) => ({ expiresAt: new Date(NOW + 1_000 + at) }));
    bench.done(...expiring);
    bench.done({ source: "a", destination: "b", amount: 199n });
    expect([bench.rowsOf("a"), bench.rowsOf("b")]).toEqual([1, 199]);
    bench.done(...expiring);
    bench.done({ source: "a", destination: "b", amount: 101n });
    expect([bench.rowsOf("a"), bench.rowsOf("b")]).toEqual([100, undefined]);
    expect(bench.lotsOf("b")).toBe(300);
  });

  it("are exact, and whole where a number would not be", () => {
    const bench = new Bench();
    const most = BigInt(Number.MAX_SAFE_INTEGER);
    bench.done({ amount: most - 1n });
    bench.done({ amount: 1n });
    expect(bench.rowsOf("a")).toBe(2);
    bench.done({ amount: 2n }, { amount: 1n });
    expect(bench.rowsOf("a")).toBeUndefined();
    expect(bench.ledger.state.books.accounts.get("a")?.holding(ASSET)?.confirmed).toMatchObject({
      balance: most + 3n,
    });
  });

  it("stand in rows again, whatever is tried before that is acknowledged", () => {
    const bench = new Bench();
    bench.done({ amount: 9n });
    const expiresAt = new Date(NOW + 9);
    const hold = { from: "a", to: "b", asset: ASSET, amount: 4n, expiresAt };
    bench.ledger.decide(prepareHold(hold, {}), NOW);
    bench.acknowledge();
    expect(bench.rowsOf("a")).toBeUndefined();
    const [id = ""] = bench.ledger.state.holds.keys();
    bench.ledger.decide(prepareRelease(id, {}), NOW);
    const released = bench.ledger.state.close();
    bench.tried([NOW, back]);
    bench.acknowledge(released);
    expect(bench.rowsOf("a")).toBe(1);
  });

  it("are not made by a journal that says other amounts than it moves", () => {
    const { state } = new Bench().ledger;
    state.apply(posted({ source: "world", destination: "a", amount: 5n, made: [made(0, 3n)] }));
    const value = state.books.accounts.get("a")?.holding(ASSET)?.value;
    expect([value?.balance, value?.lots?.total]).toEqual([5n, 3n]);
  });

  it("are what debts are kept beside: running sums have none, whatever a journal says", () => {
    const bench = new Bench();
    bench.ledger.decide(prepareAccountChange("sum", { lots: false }, {}), NOW);
    bench.acknowledge();
    const { state } = bench.ledger;
    state.apply(posted({ source: "world", destination: "sum", amount: 5n, borrowed: 1n }));
    const debts = ["world", "sum"].map(
      (name) => state.books.accounts.get(name)?.holding(ASSET)?.value.debt,
    );
    expect(debts).toEqual([0n, 0n]);
  });

  it("are not drained by a journal beyond what is left of them", () => {
    const { state } = new Bench().ledger;
    const both = [made(0, 5n), made(1, 5n)];
    state.apply(posted({ source: "world", destination: "a", amount: 10n, made: both }));
    const part = { version: 2, lotIndex: 0, amount: 3n, expiresAt: null };
    const twice = { source: "a", destination: "b", amount: 6n, drained: [part, part] };
    expect(() => state.apply(posted(twice))).toThrow("lot 0 of transaction 2 has 2 left, 3");
  });
});

function made(lotIndex: number, amount: bigint): MadeLot {
  return { lotIndex, amount, expiresAt: null };
}

/** An entry as a journal may have it. */
function posted(
  posting: Pick<PostingEntry, "source" | "destination" | "amount"> & Partial<PostingEntry>,
): PostedEntry {
  const { amount } = posting;
  const usual = { asset: ASSET, asked: amount, borrowed: 0n, repaid: 0n };
  const none = { key: undefined, content: undefined, reference: undefined, metadata: undefined };
  return {
    kind: "posted",
    decidedAt: NOW,
    at: NOW,
    postings: [{ ...usual, drained: undefined, made: undefined, ...posting }],
    reverts: undefined,
    captures: undefined,
    ...none,
  };
}
