import { types } from "node:util";
import { InvalidArgumentError } from "../errors.ts";
import { assemblePayload, decodePayload, encodeBody } from "../store/payload.ts";
import { serialisable } from "../store/serialisable.ts";
import { DEFAULT_SETTINGS, DRAIN_POLICIES, type LedgerSettings } from "./account.ts";
import { checkName } from "./names.ts";

/** A ledger as its directory says it is; frozen throughout, or the caller's own where its metadata hold dates or bytes. */
export interface LedgerInfo {
  readonly name: string;
  readonly bucket: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly settings: LedgerSettings;
  /** When it was created, by the clock of the process that did it, in milliseconds since 1970. */
  readonly createdAtMs: number;
}

/** A bucket: ledgers that are deleted and restored together. */
export interface BucketInfo {
  readonly name: string;
  readonly deleted: boolean;
}

/** What a ledger may be created with; what is left out is as the defaults of {@link LedgerSettings} say. */
export interface NewLedgerSettings {
  readonly drainPolicy?: LedgerSettings["drainPolicy"] | undefined;
  readonly accounts?: Partial<LedgerSettings["accounts"]> | undefined;
  readonly idempotencyKeys?: number | undefined;
}

/** What was asked of a new ledger, validated. */
export interface NewLedger {
  readonly name: string;
  readonly bucket: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly settings: LedgerSettings;
}

/** As of amounts. */
const OVERDRAFT_LIMIT = 1n << 127n;

/** Those that hold something that cannot be frozen. */
const unfrozen = new WeakSet<LedgerInfo>();

/** Takes the parts over and freezes them. */
export function ledgerInfo({
  name,
  bucket,
  metadata,
  settings,
  createdAtMs,
}: LedgerInfo): LedgerInfo {
  const isFrozen = freeze(metadata);
  const info = { name, bucket, metadata, settings: freezeSettings(settings), createdAtMs };
  Object.freeze(info);
  if (!isFrozen) unfrozen.add(info);
  return info;
}

/** What one caller may have: the info itself where nobody can change it, else a copy. */
export function handOut(info: LedgerInfo): LedgerInfo {
  return unfrozen.has(info) ? ledgerInfo({ ...info, metadata: copyMap(info.metadata) }) : info;
}

/** @throws {InvalidArgumentError}, {UnserialisableValueError} naming what is not as it must be */
export function newLedger(
  name: unknown,
  bucket: unknown,
  metadata: unknown,
  settings: unknown,
): NewLedger {
  return {
    name: checkName("name", name),
    bucket: checkName("bucket", bucket),
    metadata: metadata === undefined ? Object.freeze({}) : ledgerMetadata(metadata),
    settings: ledgerSettings(settings),
  };
}

/**
 * A copy of metadata in the form in which they come back from the stream.
 *
 * @throws {InvalidArgumentError} of anything but a plain object
 * @throws {UnserialisableValueError} naming the path of what cannot be stored
 */
export function ledgerMetadata(metadata: unknown): Readonly<Record<string, unknown>> {
  if (!isMap(metadata)) throw new InvalidArgumentError("metadata", "a plain object", metadata);
  serialisable(metadata, "metadata", undefined);
  const body = encodeBody([{ type: "Metadata", data: metadata }], undefined);
  const [event] = decodePayload(assemblePayload(undefined, body)).events;
  if (!isMap(event?.data)) throw new TypeError("metadata did not come back as a map");
  return event.data;
}

/** @throws {InvalidArgumentError} naming the setting */
export function ledgerSettings(given: unknown): LedgerSettings {
  const settings = fieldsOf("settings", given);
  const accounts = fieldsOf("settings.accounts", settings["accounts"]);
  return freezeSettings({
    drainPolicy: drainPolicy(settings["drainPolicy"]),
    accounts: { lots: lots(accounts["lots"]), overdraft: overdraft(accounts["overdraft"]) },
    idempotencyKeys: idempotencyKeys(settings["idempotencyKeys"]),
  });
}

function fieldsOf(argument: string, given: unknown): Readonly<Record<string, unknown>> {
  if (given === undefined) return {};
  if (isMap(given)) return given;
  throw new InvalidArgumentError(argument, "an object", given);
}

function drainPolicy(given: unknown): LedgerSettings["drainPolicy"] {
  if (given === undefined) return DEFAULT_SETTINGS.drainPolicy;
  const known = DRAIN_POLICIES.find((policy) => policy === given);
  if (known !== undefined) return known;
  throw new InvalidArgumentError("settings.drainPolicy", DRAIN_POLICIES.join(" or "), given);
}

function lots(given: unknown): boolean {
  if (given === undefined) return DEFAULT_SETTINGS.accounts.lots;
  if (typeof given === "boolean") return given;
  throw new InvalidArgumentError("settings.accounts.lots", "true or false", given);
}

function overdraft(given: unknown): bigint | "unlimited" {
  if (given === undefined) return DEFAULT_SETTINGS.accounts.overdraft;
  return checkOverdraft("settings.accounts.overdraft", given);
}

/** @throws {InvalidArgumentError} naming `argument`, where it is neither an amount from 0 below 2^127 nor "unlimited" */
export function checkOverdraft(argument: string, given: unknown): bigint | "unlimited" {
  if (given === "unlimited") return given;
  if (typeof given === "bigint" && given >= 0n && given < OVERDRAFT_LIMIT) return given;
  const expected = 'below 2^127 a bigint from 0 in minor units, or "unlimited"';
  throw new InvalidArgumentError(argument, expected, given);
}

function idempotencyKeys(given: unknown): number {
  if (given === undefined) return DEFAULT_SETTINGS.idempotencyKeys;
  if (typeof given === "number" && Number.isSafeInteger(given) && given > 0) return given;
  throw new InvalidArgumentError("settings.idempotencyKeys", "a whole number from 1", given);
}

function freezeSettings(settings: LedgerSettings): LedgerSettings {
  Object.freeze(settings.accounts);
  return Object.freeze(settings);
}

/** Freezes a value throughout; false where something in it cannot be. */
function freeze(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (types.isDate(value) || types.isUint8Array(value)) return false;
  let isFrozen = true;
  for (const part of Object.values(value)) isFrozen = freeze(part) && isFrozen;
  Object.freeze(value);
  return isFrozen;
}

function copy(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (types.isDate(value)) return new Date(value);
  if (types.isUint8Array(value)) return value.slice();
  if (Array.isArray(value)) return value.map(copy);
  return copyMap(value);
}

function copyMap(map: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, copy(value)]));
}

/** Whether it may be stored as a map; what is in it is for others to say. */
export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !types.isDate(value) &&
    !types.isUint8Array(value)
  );
}
