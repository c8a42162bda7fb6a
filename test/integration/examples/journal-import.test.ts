import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accountOf, nameOf } from "../../../examples/journal-import/account-names.ts";
import { loadJournal } from "../../../examples/journal-import/journal.ts";
import { postingsOf } from "../../../examples/journal-import/postings.ts";
import { freshStream } from "../../support/server.ts";
import { changedFixture } from "./changed-fixture.ts";
import { runExample } from "./run-example.ts";

const part = fileURLToPath(new URL("../../fixtures/ledger/journal-part.json", import.meta.url));
const whole = fileURLToPath(new URL("../../../../shared/data/journal.json", import.meta.url));
const there = existsSync(whole);
if (!there) console.warn(`skips the import of the whole journal: ${whole} is not there`);

describe("the journal-import example", () => {
  it("imports the journal that is built in, and nothing more when it runs again", async () => {
    const args = ["--stream", freshStream("JOURNAL")];
    const first = await runExample("journal-import", args);
    expect(first.output).toContain("8 transactions posted, 0 there before: 11 postings");
    expect(first.output).toContain("Proved: 21 balances at 3 dates, no difference.");
    expect(first.code).toBe(0);
    const second = await runExample("journal-import", args);
    expect(second.output).toContain("0 transactions posted, 8 there before: 11 postings");
    expect(second.output).toContain("✓ the ledger's journal grew by what was posted now");
    expect(second.output).toContain("Proved: 21 balances at 3 dates, no difference.");
    expect(second.code).toBe(0);
  });

  it("finds the balances that an accounting program computed", async () => {
    const args = ["--input", part, "--stream", freshStream("JOURNAL")];
    const { code, output } = await runExample("journal-import", args);
    expect(output).toContain("32 transactions of 92 entries, 34 accounts, 6 assets");
    expect(output).toMatch(/^ {2}2012-07-01 +23 +5 +0$/m);
    expect(output).toMatch(/^ {2}2013-01-01 +28 +0 +0$/m);
    expect(output).toMatch(/^ {2}the end +28 +0 +0$/m);
    expect(output).toContain("✓ the books balance in each of 6 assets");
    expect(code).toBe(0);
  });

  it("fails where one balance is another one, or is not named", async () => {
    const changed = changedFixture(part, [['"balance": "-307770000"', '"balance": "-307770001"']]);
    const args = ["--input", changed, "--stream", freshStream("JOURNAL")];
    const { code, output } = await runExample("journal-import", args);
    expect(output).toContain("Equity:Opening-Balances before 2012-07-01: expected -307770001");
    expect(output).toContain("NOT PROVED");
    expect(code).toBe(1);

    const leftOut = ["--leave-out", "equity:rounding", "--stream", freshStream("JOURNAL")];
    const unnamed = await runExample("journal-import", ["--input", part, ...leftOut]);
    expect(unnamed.output).toMatch(
      /equity:conversion:USD-VHT:VHT before 2013-01-01: expected 0 VHT\/2, found -\d+/,
    );
    expect(unnamed.code).toBe(1);
  });

  it("fails where a reference stands for another transaction already", async () => {
    const stream = ["--stream", freshStream("JOURNAL")];
    await runExample("journal-import", ["--input", part, ...stream]);
    const changed = changedFixture(part, [
      ['"amount": "-307770000"', '"amount": "-1"'],
      ['"amount": "307770000"', '"amount": "1"'],
    ]);
    const { code, output } = await runExample("journal-import", ["--input", changed, ...stream]);
    expect(output).toContain("0 transactions posted, 31 there before");
    expect(output).toMatch(/txn-1: reference "txn-1" belongs to transaction .* another content/);
    expect(code).toBe(1);
  });

  it("refuses entries that do not sum to zero with a message", async () => {
    const file = changedFixture(part, [['"amount": "-307770000"', '"amount": "-1"']]);
    const { code, output } = await runExample("journal-import", ["--input", file]);
    expect(output).toContain("txn-1: its entries of USD/5 do not sum to zero, 307769999 of Assets");
    expect(output).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
  });

  it.each([
    { from: '"amount": "-307770000"', to: '"amount": "1.5"', says: "expected a whole number" },
    { from: '"date": "2012-01-01"', to: '"date": "soon"', says: "transactions[0].date: expected" },
    { from: '"USD": 5', to: '"EUR": 5', says: "scale of USD: expected a whole number" },
  ])("refuses $to in the file with a message", ({ from, to, says }) => {
    expect(() => loadJournal(changedFixture(part, [[from, to]]))).toThrow(says);
  });

  it.skipIf(!there)(
    "imports the whole journal of ../shared/data without a difference",
    async () => {
      const args = ["--input", whole, "--stream", freshStream("JOURNAL")];
      const { code, output } = await runExample("journal-import", args);
      expect(output).toContain("1,035 transactions of 3,817 entries, 68 accounts, 9 assets");
      for (const [date, named, zero] of [
        ["2012-07-01", 31, 24],
        ["2013-01-01", 36, 19],
        ["2013-07-01", 45, 10],
        ["2014-01-01", 45, 10],
        ["the end", 53, 2],
      ])
        expect(output).toMatch(new RegExp(`^ {2}${date} +${named} +${zero} +0$`, "m"));
      expect(output).toContain("Proved: 275 balances at 5 dates, no difference.");
      expect(code).toBe(0);
    },
  );
});

describe("the accounts of an imported journal", () => {
  it.each([
    ["Assets:US:BofA:Checking", "Assets:US:BofA:Checking"],
    ["Equity:Opening Balances", "Equity:Opening_20Balances"],
    ["a_b:é", "a_5Fb:_C3_A9"],
    ["a::b", "a:_:b"],
    ["world", "_77orld"],
  ])("keep the name %s as %s", (name, account) => {
    expect(accountOf(name)).toBe(account);
    expect(nameOf(account)).toBe(name);
  });

  it("are valid, and no two names share one", () => {
    const name = fc.string({ unit: "grapheme", maxLength: 20 });
    fc.assert(
      fc.property(fc.oneof(name, fc.stringMatching(/^[a:_0-9A-F%-]{0,12}$/)), (name) => {
        expect(accountOf(name)).toMatch(/^[A-Za-z0-9_.-]+(?::[A-Za-z0-9_.-]+)*$/);
        expect(nameOf(accountOf(name))).toBe(name);
      }),
    );
  });

  it("of another kind stand for no name", () => {
    for (const account of ["a_2", "_zz", "_41", "world", "a:__"])
      expect(nameOf(account)).toBeUndefined();
  });
});

describe("the postings of signed entries", () => {
  it("pay within each asset what gets from what gives, in their order", () => {
    const entry = (account: string, asset: string, amount: bigint) => ({ account, asset, amount });
    const entries = [
      entry("a", "X/2", -5n),
      entry("b", "X/2", 3n),
      entry("c", "Y/0", 7n),
      entry("d", "X/2", 4n),
      entry("e", "X/2", -2n),
      entry("f", "Y/0", -7n),
      entry("b", "X/2", -1n),
      entry("g", "X/2", 1n),
    ];
    const of = { reference: "r", date: new Date(0), description: "", entries };
    expect(postingsOf(of).map((posting) => Object.values(posting).join(" "))).toEqual([
      "a b X/2 2",
      "a d X/2 3",
      "e d X/2 1",
      "e g X/2 1",
      "f c Y/0 7",
    ]);
  });

  it("are none where all add up to nothing", () => {
    const entries = [1n, -1n].map((amount) => ({ account: "a", asset: "X/0", amount }));
    const of = { reference: "r", date: new Date(0), description: "", entries };
    expect(postingsOf(of)).toEqual([]);
  });
});
