/** What the scenarios' amounts are amounts of. */
export const ASSET = "CREDIT";

/** Those who hold credits, apart from `world`, where they come from. */
export const HOLDERS = "holders:";

/** The account of a ledger that stands for an account of a scenario. */
export function holderOf(account: string): string {
  return `${HOLDERS}${account}`;
}
