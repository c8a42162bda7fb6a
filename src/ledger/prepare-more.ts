import { InvalidArgumentError } from "../errors.ts";
import type { AccountOptions } from "./account.ts";
import type { CaptureOptions, CommandOptions, HoldInput, RevertOptions } from "./commands.ts";
import { checkOverdraft } from "./ledger-info.ts";
import { checkAccount, checkAmount, checkAsset, checkInstant, WORLD } from "./names.ts";
import {
  type AskedAccountChange,
  type AskedCapture,
  type AskedHold,
  type AskedMetadata,
  type AskedRelease,
  type AskedRevert,
  assertObject,
  checkFlag,
  prepareDetails,
  prepareExpiry,
  prepareMetadata,
  prepareOptions,
  preparePlace,
} from "./prepare.ts";

const MAX_METADATA_KEY_LENGTH = 255;

export function prepareRevert(id: unknown, options: RevertOptions): AskedRevert {
  const asks = prepareOptions(options);
  const { force, atEffectiveDate, reference, metadata } = options;
  checkFlag("force", force);
  checkFlag("atEffectiveDate", atEffectiveDate);
  const { at: _at, ...details } = prepareDetails({ reference, metadata });
  return {
    kind: "revert",
    options: asks,
    ...details,
    target: preparePlace("transactionId", id),
    force: force === true,
    atEffectiveDate: atEffectiveDate === true,
  };
}

export function prepareHold(input: HoldInput, options: CommandOptions): AskedHold {
  assertObject("hold", input);
  const { from, to = WORLD, asset, amount, expiresAt } = input;
  checkAccount("from", from);
  checkAccount("to", to);
  if (from === WORLD) throw new InvalidArgumentError("from", "an account other than world", from);
  if (from === to) throw new InvalidArgumentError("to", "another account than from", to);
  return {
    kind: "hold",
    options: prepareOptions(options),
    ...prepareDetails(input),
    from,
    to,
    asset: checkAsset("asset", asset),
    amount: checkAmount("amount", amount),
    expiresAt: checkInstant("expiresAt", expiresAt),
  };
}

export function prepareCapture(
  id: unknown,
  amount: unknown,
  options: CaptureOptions,
): AskedCapture {
  const asks = prepareOptions(options);
  const { to, final, expiresAt } = options;
  checkFlag("final", final);
  return {
    kind: "capture",
    options: asks,
    ...prepareDetails(options),
    hold: preparePlace("holdId", id),
    amount: amount === undefined ? undefined : checkAmount("amount", amount),
    to: to === undefined ? undefined : checkAccount("to", to),
    expiresAt: prepareExpiry(expiresAt),
    final: final !== false,
  };
}

export function prepareRelease(id: unknown, options: CommandOptions): AskedRelease {
  const hold = preparePlace("holdId", id);
  return { kind: "release", options: prepareOptions(options), hold };
}

export function prepareAccountChange(
  account: string,
  change: AccountOptions,
  options: CommandOptions,
): AskedAccountChange {
  checkAccount("account", account);
  assertObject("change", change);
  if (account === WORLD)
    throw new InvalidArgumentError("account", "an account other than world", account);
  for (const name of ["lots", "issuer", "frozen", "closed"] as const) {
    checkFlag(name, change[name]);
  }
  const { overdraft, lots, issuer, frozen, closed } = change;
  if (overdraft !== undefined) checkOverdraft("overdraft", overdraft);
  const copy: AccountOptions = { lots, issuer, overdraft, frozen, closed };
  return { kind: "account", options: prepareOptions(options), account, change: copy };
}

export function prepareMetadataChange(
  of: { readonly account: string } | { readonly transaction: string },
  metadata: unknown,
  deleted: readonly string[],
  options: CommandOptions,
): AskedMetadata {
  assertObject("of", of);
  const whose =
    "account" in of
      ? checkAccount("of.account", of.account)
      : preparePlace("of.transaction", of.transaction);
  if (!Array.isArray(deleted)) throw new InvalidArgumentError("keys", "a list of keys", deleted);
  for (const key of deleted) {
    if (typeof key !== "string" || key.length > MAX_METADATA_KEY_LENGTH)
      throw new InvalidArgumentError("keys", "keys of metadata", key);
  }
  const { metadata: set = {}, metadataBytes } = prepareMetadata("metadata", metadata ?? null);
  const bytes = metadataBytes + deleted.length * 3 * MAX_METADATA_KEY_LENGTH;
  const copy = [...deleted];
  return {
    kind: "metadata",
    options: prepareOptions(options),
    of: whose,
    set,
    deleted: copy,
    metadataBytes: bytes,
  };
}
