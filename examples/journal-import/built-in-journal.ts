const bank = "Assets:Bank";
const cash = "Assets:Travel Cash";
const conversion = "equity:conversion:EUR-USD";

type Entry = readonly [account: string, asset: string, amount: number];

/** A transaction in the form of a journal file. */
function transaction(
  reference: string,
  date: string,
  description: string,
  ...entries: readonly Entry[]
): object {
  const list = entries.map(([account, asset, amount]) => ({
    account,
    asset,
    amount: String(amount),
  }));
  return { reference, date, description, entries: list };
}

/** All balances other than zero, in the form of a journal file. */
function expected(before: string | null, ...entries: readonly Entry[]): object {
  const balances = entries.map(([account, asset, balance]) => ({
    account,
    asset,
    balance: String(balance),
  }));
  return { before, balances };
}

function salary(reference: string, date: string): object {
  return transaction(
    reference,
    date,
    "Salary",
    [bank, "EUR", 250_000],
    ["Income:Salary", "EUR", -320_000],
    ["Expenses:Tax", "EUR", 70_000],
  );
}

function rent(reference: string, date: string): object {
  return transaction(
    reference,
    date,
    "Rent",
    ["Expenses:Rent", "EUR", 90_000],
    [bank, "EUR", -90_000],
  );
}

/** A household's first months, in the form of the files that the example reads. */
export const builtInJournal: object = {
  about: "A household's first months of 2026, in cents. Euros become dollars through equity.",
  scale: { EUR: 2, USD: 2 },
  transactions: [
    transaction(
      "txn-1",
      "2026-01-01",
      "Opening balance",
      [bank, "EUR", 100_000],
      ["Equity:Opening Balances", "EUR", -100_000],
    ),
    salary("txn-2", "2026-01-15"),
    rent("txn-3", "2026-01-20"),
    transaction(
      "txn-4",
      "2026-02-02",
      "Dollars for the journey",
      [bank, "EUR", -55_000],
      [`${conversion}:EUR`, "EUR", 55_000],
      [`${conversion}:USD`, "USD", -60_000],
      [cash, "USD", 60_000],
    ),
    transaction(
      "txn-5",
      "2026-02-10",
      "Café « Chez Noé »",
      ["Expenses:Food & Drink", "USD", 4_250],
      [cash, "USD", -4_250],
    ),
    salary("txn-6", "2026-02-15"),
    rent("txn-7", "2026-02-20"),
    transaction(
      "txn-8",
      "2026-03-05",
      "The heating was cold",
      ["Expenses:Rent", "EUR", -10_000],
      [bank, "EUR", 10_000],
    ),
  ],
  expected: [
    expected(
      "2026-02-01",
      [bank, "EUR", 260_000],
      ["Equity:Opening Balances", "EUR", -100_000],
      ["Income:Salary", "EUR", -320_000],
      ["Expenses:Tax", "EUR", 70_000],
      ["Expenses:Rent", "EUR", 90_000],
    ),
    expected(
      "2026-03-01",
      [bank, "EUR", 365_000],
      [cash, "USD", 55_750],
      ["Equity:Opening Balances", "EUR", -100_000],
      ["Income:Salary", "EUR", -640_000],
      ["Expenses:Tax", "EUR", 140_000],
      ["Expenses:Rent", "EUR", 180_000],
      ["Expenses:Food & Drink", "USD", 4_250],
    ),
    expected(
      null,
      [bank, "EUR", 375_000],
      [cash, "USD", 55_750],
      ["Equity:Opening Balances", "EUR", -100_000],
      ["Income:Salary", "EUR", -640_000],
      ["Expenses:Tax", "EUR", 140_000],
      ["Expenses:Rent", "EUR", 170_000],
      ["Expenses:Food & Drink", "USD", 4_250],
    ),
  ],
};
