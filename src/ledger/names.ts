import { InvalidArgumentError } from "../errors.ts";
import { isWellFormed } from "../internal/well-formed.ts";

/** The account that is never short of anything: what comes into the ledger comes from it. */
export const WORLD = "world";

const MAX_ACCOUNT_LENGTH = 255;
const MAX_REFERENCE_LENGTH = 255;
const AMOUNT_LIMIT = 1n << 127n;
const nameRule = /^[0-9A-Za-z_-]{1,63}$/;
const assetRule = /^[A-Z][A-Z0-9]{0,16}(?:\/\d{1,2})?$/;
const accountRule = /^[A-Za-z0-9_.-]+(?::[A-Za-z0-9_.-]+)*$/;

/** @throws {InvalidArgumentError} naming `argument`, where it is no name of a ledger or a bucket */
export function checkName(argument: string, name: unknown): string {
  if (typeof name === "string" && nameRule.test(name)) return name;
  throw new InvalidArgumentError(argument, "1 to 63 characters of [0-9A-Za-z_-]", name);
}

/** @throws {InvalidArgumentError} naming `argument` */
export function checkAsset(argument: string, asset: unknown): string {
  if (typeof asset === "string" && assetRule.test(asset)) return asset;
  const expected = "an asset such as CREDIT or USD/2: [A-Z][A-Z0-9]{0,16}(/[0-9]{1,2})?";
  throw new InvalidArgumentError(argument, expected, asset);
}

/** @throws {InvalidArgumentError} naming `argument` */
export function checkAccount(argument: string, account: unknown): string {
  if (
    typeof account === "string" &&
    account.length <= MAX_ACCOUNT_LENGTH &&
    accountRule.test(account)
  ) {
    return account;
  }
  const expected = `an account such as users:alice: segments of [A-Za-z0-9_.-]+ joined by colons, at most ${MAX_ACCOUNT_LENGTH} characters`;
  throw new InvalidArgumentError(argument, expected, account);
}

/** @throws {InvalidArgumentError} naming `argument`, where it is no positive bigint below 2^127 */
export function checkAmount(argument: string, amount: unknown): bigint {
  if (typeof amount === "bigint" && amount > 0n && amount < AMOUNT_LIMIT) return amount;
  throw new InvalidArgumentError(argument, "a positive bigint below 2^127, in minor units", amount);
}

/** A reference or an idempotency key. @throws {InvalidArgumentError} naming `argument` */
export function checkReference(argument: string, reference: unknown): string {
  if (
    typeof reference === "string" &&
    reference.length > 0 &&
    reference.length <= MAX_REFERENCE_LENGTH &&
    isWellFormed(reference)
  ) {
    return reference;
  }
  const expected = `well-formed text of 1 to ${MAX_REFERENCE_LENGTH} characters`;
  throw new InvalidArgumentError(argument, expected, reference);
}

/** @returns milliseconds since 1970. @throws {InvalidArgumentError} naming `argument` */
export function checkInstant(argument: string, instant: unknown): number {
  if (instant instanceof Date && Number.isFinite(instant.getTime())) return instant.getTime();
  throw new InvalidArgumentError(argument, "a valid Date", instant);
}
