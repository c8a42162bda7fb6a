import { describe, expect, it } from "vitest";
import { Audit } from "../../../examples/multi-writer-ledger/audit.ts";
import { HashChain } from "../../../examples/multi-writer-ledger/hash-chain.ts";
import type { Answer } from "../../../examples/multi-writer-ledger/messages.ts";
import { NaiveBooks } from "../../../examples/multi-writer-ledger/naive-books.ts";
import { parseOptions } from "../../../examples/multi-writer-ledger/options.ts";
import { chainHash } from "../../../src/ledger/chain.ts";
import type { Transaction } from "../../../src/ledger/transaction.ts";
import { freshStream } from "../../support/server.ts";
import { runExample } from "./run-example.ts";

const few = ["--accounts", "20", "--callers", "16", "--seconds", "2"];

describe("the multi-writer-ledger example", () => {
  it("proves a ledger that three processes hammered, one of which was killed", async () => {
    const args = ["--writers", "3", ...few, "--stream", freshStream("HAMMER")];
    const { code, output } = await runExample("multi-writer-ledger", args);
    expect(output).toContain("SIGKILL: writer 3 is gone in the middle of what they were at.");
    expect(output.match(/^ {2}\d +[\d,]+ +[\d.]+ % .*$/gm)).toHaveLength(3);
    expect(output).toMatch(/^ {2}3 .* killed$/m);
    expect(output).not.toContain("✗");
    expect(output.match(/^ {2}✓/gm)).toHaveLength(14);
    expect(output).toMatch(/^Proved: [\d,]+ transactions by 3 processes, 1 of them killed/m);
    expect(code).toBe(0);
  }, 120_000);

  it("proves it of a single process that nobody disturbs", async () => {
    const args = ["--writers", "1", "--kill", "0", ...few, "--stream", freshStream("HAMMER")];
    const { code, output } = await runExample("multi-writer-ledger", args);
    expect(output).not.toContain("SIGKILL");
    expect(output).toMatch(/^ {2}1 +[\d,]+ +100\.0 % /m);
    expect(output).toMatch(/^Proved: [\d,]+ transactions by 1 processes: none lost/m);
    expect(code).toBe(0);
  }, 120_000);

  it.each([
    { args: ["--writers", "0"], says: "--writers: expected a whole number from 1 to 32" },
    { args: ["--writers", "2", "--kill", "2"], says: "one of 2 writers must be left" },
    { args: ["--accounts", "1"], says: "--accounts: expected a whole number from 2" },
    { args: ["--unheard-of"], says: "--unheard-of" },
  ])("refuses $args with a message", ({ args, says }) => {
    expect(() => parseOptions(args)).toThrow(says);
  });

  it("ends with a message where it cannot begin", async () => {
    const { code, output } = await runExample("multi-writer-ledger", ["--kill", "4"]);
    expect(output).toContain("one of 4 writers must be left");
    expect(output).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
  });
});

/** What speaks against the claims of an audit. */
function violationsOf(of: {
  claims(): readonly { readonly violations: readonly string[] }[];
}): readonly string[] {
  return of.claims().flatMap(({ violations }) => violations);
}

describe("the audit of a hammered ledger", () => {
  const answers: readonly Answer[] = [
    { key: "w0-1", kind: "transfer", id: "5.0", version: 1, amount: "7" },
    { key: "w0-2", kind: "hold", id: "5.1", version: 2, amount: "7" },
    { key: "w0-3", kind: "transfer" },
    { key: "w1-1", kind: "release", id: "6.0", version: 3 },
  ];
  const entry = (version: number, id: string, type: string, key: string) => {
    const [position = 0, index = 0] = id.split(".").map(Number);
    return { position, index, version, type, key };
  };
  const journal = [
    entry(1, "5.0", "TransactionPosted", "w0-1"),
    entry(2, "5.1", "HoldPlaced", "w0-2"),
    entry(3, "6.0", "HoldReleased", "w1-1"),
    entry(4, "6.1", "TransactionPosted", "w1-2"),
  ];
  const audited = (entries: readonly (typeof journal)[number][], killed = [1]): Audit => {
    const audit = new Audit({ writers: 2, killed }, answers);
    for (const one of entries) audit.take(one);
    return audit;
  };

  it("finds nothing where all stands where the answers said, and counts what was unheard", () => {
    const audit = audited(journal);
    expect(violationsOf(audit)).toEqual([]);
    expect(audit.unheard).toBe(1);
    expect(audit.commits).toBe(2);
    expect(audit.shares).toEqual([
      { transactions: 1, entries: 2, commits: 1 },
      { transactions: 1, entries: 2, commits: 1 },
    ]);
  });

  it.each([
    {
      what: "lost",
      entries: journal.slice(1),
      says: ["entry 2 stands where 1 belongs", "w0-1: acknowledged at 5.0, found nowhere"],
    },
    {
      what: "of another kind",
      entries: journal.with(1, entry(2, "5.1", "TransactionPosted", "w0-2")),
      says: ["w0-2: acknowledged at 5.1, found 5.1, a TransactionPosted"],
    },
    {
      what: "doubled",
      entries: [...journal, entry(5, "7.0", "TransactionPosted", "w1-2")],
      says: ["w1-2 stands at 6.1 and at 7.0"],
    },
    {
      what: "refused and stored",
      entries: [...journal, entry(5, "7.0", "TransactionPosted", "w0-3")],
      says: ["w0-3 stands at 7.0"],
    },
    {
      what: "stored and never answered, by a process that lives",
      entries: [...journal, entry(5, "7.0", "TransactionPosted", "w0-4")],
      says: ["w0-4 at 7.0"],
    },
    {
      what: "nobody's",
      entries: [...journal, entry(5, "7.0", "TransactionPosted", "w2-1")],
      says: ["w2-1 at 7.0"],
    },
  ])("finds what is $what", ({ entries, says }) => {
    expect(violationsOf(audited(entries))).toEqual(expect.arrayContaining(says));
  });
});

describe("the naive books of a hammered ledger", () => {
  const posted = (
    id: string,
    [source = "", destination = "", amount = ""]: readonly string[],
    more: Partial<Transaction> = {},
  ): Transaction => {
    const none = { drained: undefined, borrowed: 0n, made: undefined, repaid: 0n };
    const moved = { amount: BigInt(amount), asked: BigInt(amount) };
    const posting = { source, destination, asset: "POINT", ...moved, ...none };
    const place = { position: 1, index: 0, version: 1, at: new Date(0), decidedAt: new Date(0) };
    const nothing = {
      reference: undefined,
      idempotencyKey: undefined,
      metadata: {},
      reverts: undefined,
      revertedBy: undefined,
      captures: undefined,
    };
    return { id, ...place, ...nothing, postings: [posting], ...more };
  };
  const kept = (...transactions: readonly Transaction[]): NaiveBooks => {
    const books = new NaiveBooks([
      { key: "w0-1", kind: "transfer", id: "2.0", version: 2, amount: "4" },
      { key: "w0-2", kind: "hold", id: "3.0", version: 3, amount: "5" },
    ]);
    books.take(posted("1.0", ["world", "a", "10"]));
    for (const transaction of transactions) books.take(transaction);
    return books;
  };

  it("find nothing where all adds up", () => {
    const books = kept(
      posted("2.0", ["a", "b", "4"], { idempotencyKey: "w0-1" }),
      posted("4.0", ["b", "a", "4"], { reverts: "2.0" }),
      posted("5.0", ["a", "b", "5"], { captures: "3.0" }),
    );
    expect(violationsOf(books)).toEqual([]);
    expect([books.balance("a", "POINT"), books.balance("b", "POINT")]).toEqual([5n, 5n]);
    expect(books.transactions).toBe(4);
  });

  it.each([
    {
      what: "overdraft",
      transactions: [posted("2.0", ["a", "b", "11"]), posted("3.0", ["b", "a", "11"])],
      says: "a has -1 POINT after transaction 2.0",
    },
    {
      what: "other amount than the acknowledged one",
      transactions: [posted("2.0", ["a", "b", "3"], { idempotencyKey: "w0-1" })],
      says: "2.0: 4 was acknowledged, 3 moved",
    },
    {
      what: "revert of another amount",
      transactions: [
        posted("2.0", ["a", "b", "4"]),
        posted("3.0", ["b", "a", "3"], { reverts: "2.0" }),
      ],
      says: "3.0 does not lead back what 2.0 moved",
    },
    {
      what: "second revert",
      transactions: ["3.0", "4.0"].map((id) => posted(id, ["a", "world", "1"], { reverts: "1.0" })),
      says: "4.0: 1.0 was reverted before",
    },
    {
      what: "second capture",
      transactions: ["4.0", "5.0"].map((id) => posted(id, ["a", "b", "1"], { captures: "3.0" })),
      says: "5.0: hold 3.0 was captured before",
    },
    {
      what: "capture of more than is held",
      transactions: [posted("4.0", ["a", "b", "6"], { captures: "3.0" })],
      says: "4.0: 6 captured of 5",
    },
  ])("find an $what", ({ transactions, says }) => {
    expect(violationsOf(kept(...transactions))).toContain(says);
  });
});

describe("the hash chain of a hammered ledger", () => {
  const commits = ["a", "b", "c"].reduce<Parameters<HashChain["take"]>[0][]>((chain, text, at) => {
    const payload = new TextEncoder().encode(text);
    const previous = chain.at(-1)?.hash ?? "0".repeat(64);
    const version = 2 * at + 2;
    const hash = chainHash(previous, version, text, payload);
    return [...chain, { position: at + 1, version, commitId: text, payload, hash }];
  }, []);
  const followed = (list: readonly (typeof commits)[number][]): HashChain => {
    const chain = new HashChain(chainHash);
    for (const commit of list) chain.take(commit);
    return chain;
  };

  it("holds where no byte was changed", () => {
    expect(followed(commits).violations).toEqual([]);
    expect(followed([]).violations).toEqual(["there is no commit"]);
  });

  it("breaks where a byte, a version or a commit was changed or removed", () => {
    const [first, second, third] = commits;
    if (first === undefined || second === undefined || third === undefined)
      throw new Error("three");
    const other = { ...second, payload: new TextEncoder().encode("B") };
    expect(followed([first, other, third]).violations).toHaveLength(1);
    expect(followed([first, { ...second, version: 5 }, third]).violations).toHaveLength(1);
    expect(followed([first, { ...second, commitId: "B" }, third]).violations).toHaveLength(1);
    expect(followed([first, third]).violations).toHaveLength(1);
    expect(followed([second, first]).violations).toHaveLength(3);
  });
});
