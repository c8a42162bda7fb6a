import type { AccountBalance, Ledger } from "annal/ledger";
import { amountOf, fieldsOf, instantOf, listOf, textOf } from "../lib/json-input.ts";
import { ASSET, HOLDERS, holderOf } from "./holders.ts";
import type { Query } from "./scenario.ts";

/** What a ledger answers to a query, as text; the same as {@link expectedAnswer} gives where it is right. */
export async function answer(ledger: Ledger, query: Query): Promise<string> {
  const { kind, account: name, asOf: at, amount, minBalance: min } = query;
  const account = holderOf(name);
  switch (kind) {
    case "balance":
      return String(await ledger.balance(account, ASSET, { at }));
    case "validateTransfer":
      return String((await ledger.balance(account, ASSET, { at })) >= amount);
    case "details": {
      const { total, details } = await ledger.details(account, ASSET, { at });
      return detailsText(total, details);
    }
    case "lots": {
      const lots = await ledger.lots(account, ASSET);
      return lots.map(({ reference = "", ...lot }) => lotText({ reference, ...lot })).join("; ");
    }
    case "list":
      return (await page(ledger, query)).map(listedText).join("; ");
    case "count":
      return String(await ledger.count({ asset: ASSET, prefix: HOLDERS, min, at }));
    default:
      throw new Error(`a query of no kind: ${String(kind satisfies never)}`);
  }
}

/** What the file expects as the answer to a query, as text. @throws {Error} where it cannot be one */
export function expectedAnswer({ kind }: Query, expect: unknown): string {
  switch (kind) {
    case "balance":
    case "count":
      return String(amountOf("expect", expect));
    case "validateTransfer":
      return String(expect);
    case "details": {
      const { total, details } = fieldsOf("expect", expect);
      return detailsText(amountOf("total", total), listOf("details", details, parseDetail));
    }
    case "lots":
      return listOf("expect", expect, parseLot).map(lotText).join("; ");
    case "list":
      return listOf("expect", expect, parseListed).map(listedText).join("; ");
    default:
      throw new Error(`a query of no kind: ${String(kind satisfies never)}`);
  }
}

/** One page of the list of balances: the file numbers pages, a ledger goes on from page to page. */
async function page(
  ledger: Ledger,
  { asOf: at, minBalance: min, page: wanted, pagination }: Query,
): Promise<readonly AccountBalance[]> {
  const limit = pagination === 0 ? undefined : pagination;
  const all: AccountBalance[] = [];
  let after: string | undefined;
  for (let number = 1; ; number++) {
    const found = await ledger.balances({ asset: ASSET, prefix: HOLDERS, min, at, after, limit });
    if (limit !== undefined && number === wanted) return found.items;
    all.push(...found.items);
    after = found.cursor;
    if (after === undefined) return limit === undefined ? all : [];
  }
}

interface Detail {
  readonly expiresAt: Date | null;
  readonly amount: bigint;
}

interface Lot {
  readonly reference: string;
  readonly index: number;
  readonly remaining: bigint;
  readonly grantedAt: Date;
  readonly expiresAt: Date | null;
}

function detailsText(total: bigint, details: readonly Detail[]): string {
  const parts = details.map(({ expiresAt, amount }) => `${amount} until ${dateText(expiresAt)}`);
  return [String(total), ...parts].join("; ");
}

function lotText({ reference, index, remaining, grantedAt, expiresAt }: Lot): string {
  return `${reference}/${index} ${remaining} from ${dateText(grantedAt)} until ${dateText(expiresAt)}`;
}

function listedText({ account, balance }: Pick<AccountBalance, "account" | "balance">): string {
  return `${account} ${balance}`;
}

function dateText(date: Date | null): string {
  return date === null ? "ever" : date.toISOString();
}

function parseDetail(where: string, value: unknown): Detail {
  const { expiration, amount } = fieldsOf(where, value);
  return { expiresAt: expiryOf(where, expiration), amount: amountOf(where, amount) };
}

function parseLot(where: string, value: unknown): Lot {
  const fields = fieldsOf(where, value);
  return {
    reference: textOf(`${where}.creditRef`, fields["creditRef"]),
    index: Number(amountOf(`${where}.creditIndex`, fields["creditIndex"])),
    remaining: amountOf(`${where}.remaining`, fields["remaining"]),
    grantedAt: instantOf(`${where}.grantedAt`, fields["grantedAt"]),
    expiresAt: expiryOf(`${where}.expiration`, fields["expiration"]),
  };
}

function parseListed(where: string, value: unknown): Pick<AccountBalance, "account" | "balance"> {
  const [account, balance] = listOf(where, value, (_, item) => item);
  return { account: holderOf(textOf(where, account)), balance: amountOf(where, balance) };
}

function expiryOf(where: string, value: unknown): Date | null {
  return value === null ? null : instantOf(where, value);
}
