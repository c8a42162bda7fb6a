import { amountOf, fieldsOf, instantOf, listOf, readJson, textOf } from "../lib/json-input.ts";
import { builtInJournal } from "./built-in-journal.ts";

/** An accounting program's journal, and what it says the balances are. */
export interface Journal {
  readonly about: string;
  readonly transactions: readonly JournalTransaction[];
  readonly expected: readonly ExpectedBalances[];
}

/** A transaction as bookkeepers write it: signed entries that sum to zero for each asset. */
export interface JournalTransaction {
  readonly reference: string;
  readonly date: Date;
  readonly description: string;
  readonly entries: readonly Entry[];
}

/** What an account gets, or gives: a negative amount. */
export interface Entry {
  readonly account: string;
  /** With its scale: `USD/2` for amounts in cents. */
  readonly asset: string;
  readonly amount: bigint;
}

/** All balances other than zero at an instant, helper accounts left out. */
export interface ExpectedBalances {
  /** Counting what was effective before it; undefined for all. */
  readonly before: Date | undefined;
  readonly balances: readonly Entry[];
}

/** Reads a journal from a file, or takes the small one that is built in. @throws {Error} naming what is not as it must be */
export function loadJournal(path: string | undefined): Journal {
  return parseJournal(path === undefined ? builtInJournal : readJson(path));
}

function parseJournal(value: unknown): Journal {
  const { about = "", scale, transactions, expected } = fieldsOf("journal", value);
  const scales = fieldsOf("scale", scale);
  const entry =
    (amount: "amount" | "balance") =>
    (where: string, item: unknown): Entry => {
      const fields = fieldsOf(where, item);
      const asset = textOf(`${where}.asset`, fields["asset"]);
      const digits = amountOf(`scale of ${asset}`, scales[asset]);
      return {
        account: textOf(`${where}.account`, fields["account"]),
        asset: `${asset}/${digits}`,
        amount: amountOf(`${where}.${amount}`, fields[amount]),
      };
    };
  return {
    about: textOf("about", about),
    transactions: listOf("transactions", transactions, (where, item) => {
      const { reference, date, description = "", entries } = fieldsOf(where, item);
      return {
        reference: textOf(`${where}.reference`, reference),
        date: instantOf(`${where}.date`, date),
        description: textOf(`${where}.description`, description),
        entries: listOf(`${where}.entries`, entries, entry("amount")),
      };
    }),
    expected: listOf("expected", expected, (where, item) => {
      const { before, balances } = fieldsOf(where, item);
      return {
        before: before === null ? undefined : instantOf(`${where}.before`, before),
        balances: listOf(`${where}.balances`, balances, entry("balance")),
      };
    }),
  };
}
