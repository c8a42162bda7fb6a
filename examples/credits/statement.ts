import type { Ledger, LotInfo, Transaction } from "annal/ledger";
import { formatCount, formatTable } from "../lib/table.ts";

/** What a customer is told at an instant. */
export interface Statement {
  readonly account: string;
  readonly at: Date;
  readonly lots: readonly LotInfo[];
  readonly lines: readonly StatementLine[];
  /** What the lines add up to. */
  readonly closing: bigint;
  /** What the ledger says. */
  readonly balance: bigint;
}

/** What moved, or expired. */
export interface StatementLine {
  readonly at: Date;
  readonly reference: string;
  readonly text: string;
  readonly amount: bigint;
  readonly balance: bigint;
}

/**
 * The statement of an account. An expiry is a line of it although nothing was posted for it: it follows from the lots.
 */
export async function statementOf(
  ledger: Ledger,
  account: string,
  asset: string,
  at: Date,
): Promise<Statement> {
  const lots = await ledger.lots(account, asset);
  const moves: Omit<StatementLine, "balance">[] = [];
  let after: string | undefined;
  do {
    const page = await ledger.transactions({ account, to: at, after });
    for (const transaction of page.items) moves.push(moveOf(transaction, account, asset));
    after = page.cursor;
  } while (after !== undefined);
  for (const { expiresAt, remaining, reference = "" } of lots) {
    if (expiresAt === null || expiresAt > at || remaining === 0n) continue;
    moves.push({ at: expiresAt, reference, text: "Expired", amount: -remaining });
  }
  moves.sort((one, other) => one.at.getTime() - other.at.getTime());
  let closing = 0n;
  const lines = moves.map((move) => {
    closing += move.amount;
    return { ...move, balance: closing };
  });
  return {
    account,
    at,
    lots,
    lines,
    closing,
    balance: await ledger.balance(account, asset, { at }),
  };
}

/** Prints the lots, and below them what moved. */
export function printStatement({ account, at, lots, lines }: Statement): void {
  const right = { align: "right" } as const;
  const lotColumns = [
    { title: "credits of" },
    { title: "from" },
    { title: "granted", ...right },
    { title: "left", ...right },
    { title: "until" },
    { title: "" },
  ];
  const lotRows = lots.map(({ reference = "", grantedAt, amount, remaining, expiresAt }) => [
    reference,
    dateOf(grantedAt),
    Number(amount),
    Number(remaining),
    expiresAt === null ? "ever" : dateOf(expiresAt),
    stateOf(remaining, expiresAt, at),
  ]);
  const lineColumns = [
    { title: "date" },
    { title: "reference" },
    { title: "" },
    { title: "amount", ...right },
    { title: "balance", ...right },
  ];
  const lineRows = lines.map(({ at: date, reference, text, amount, balance }) => [
    dateOf(date),
    reference,
    text,
    `${amount > 0n ? "+" : ""}${formatCount(Number(amount))}`,
    Number(balance),
  ]);
  console.log(`\nStatement of ${account} on ${dateOf(at)}\n`);
  console.log(`${formatTable(lotColumns, lotRows)}\n`);
  console.log(formatTable(lineColumns, lineRows));
}

function moveOf(
  { at, reference = "", metadata, postings }: Transaction,
  account: string,
  asset: string,
): Omit<StatementLine, "balance"> {
  let moved = 0n;
  for (const { source, destination, asset: of, amount } of postings) {
    if (of !== asset) continue;
    if (destination === account) moved += amount;
    if (source === account) moved -= amount;
  }
  const { text } = metadata;
  return { at, reference, text: typeof text === "string" ? text : "", amount: moved };
}

function stateOf(remaining: bigint, expiresAt: Date | null, at: Date): string {
  if (remaining === 0n) return "spent";
  return expiresAt !== null && expiresAt <= at ? "expired" : "";
}

function dateOf(instant: Date): string {
  return instant.toISOString().slice(0, 10);
}
