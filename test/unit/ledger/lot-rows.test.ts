import { describe, expect, it } from "vitest";
import { MOST_ROWS } from "../../../src/ledger/holding-table.ts";
import type { PostingInput } from "../../../src/ledger/commands.ts";
import { preparePost } from "../../../src/ledger/prepare.ts";
import { DecidingLedger } from "../../support/deciding-ledger.ts";

const ASSET = "CREDIT/2";
const NOW = 1_000;

class Bench {
  readonly ledger = new DecidingLedger("emission-first@1", false);
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

  acknowledge(): void {
    this.ledger.confirm(this.ledger.state.close(), ++this.#position);
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
    const [first, second] = [bench.ledger.decide(asOf, NOW), bench.post([back], NOW)];
    const drained = (lotIndex: number) => ({
      entry: { postings: [{ drained: [{ lotIndex, amount: 4n }] }] },
    });
    expect(first).toMatchObject(drained(0));
    expect(second).toMatchObject(drained(1));
  });

  it("become whole where they are too many, and rows again where they are few", () => {
    const bench = new Bench();
    bench.done(...grants(MOST_ROWS));
    expect(bench.rowsOf("a")).toBe(MOST_ROWS);
    bench.done(...grants(1));
    expect(bench.rowsOf("a")).toBeUndefined();
    expect(bench.lotsOf("a")).toBe(MOST_ROWS + 1);
    bench.done({ source: "a", destination: "b", amount: BigInt(MOST_ROWS / 2) });
    expect(bench.rowsOf("a")).toBeUndefined();
    bench.done({ source: "a", destination: "b", amount: 1n });
    expect(bench.rowsOf("a")).toBe(MOST_ROWS / 2);
    expect(bench.lotsOf("a")).toBe(MOST_ROWS / 2);
  });
});
