import { InvalidArgumentError, UnserialisableValueError } from "../errors.ts";
import { pack, unpack } from "../store/packing.ts";
import { maxDepth, serialisable } from "../store/serialisable.ts";
import type { AccountOptions } from "./account.ts";
import { Post, PostOptions, PostPosting } from "./asked-post.ts";
import type {
  BalanceExpectation,
  CommandOptions,
  Expectation,
  FundsOptions,
  GrantInput,
  PostingInput,
  SpendInput,
  TransactionDetails,
  TransactionInput,
  TransferInput,
} from "./commands.ts";
import { TransactionTooLargeError } from "./errors.ts";
import type { Details, EntryReference } from "./journal-entry.ts";
import {
  checkAccount,
  checkAmount,
  checkAsset,
  checkInstant,
  checkReference,
  WORLD,
} from "./names.ts";
import type { AskedPosting } from "./posting.ts";

/** Commands, validated: what they ask for, in the ledger's own terms. Instants are milliseconds since 1970. */

/** What is said of a transaction. */
export interface AskedDetails {
  readonly at: number | undefined;
  readonly reference: string | undefined;
  readonly metadata: Details | undefined;
  /** Of the metadata, packed. */
  readonly metadataBytes: number;
}

/** Of any command. */
export interface AskedOptions {
  readonly key: string | undefined;
  readonly expect: Expectation | undefined;
  readonly dryRun: boolean;
}

export interface AskedPost extends AskedDetails {
  readonly kind: "post";
  readonly options: AskedOptions;
  readonly postings: readonly AskedPosting[];
  readonly partial: boolean;
}

/** A place in the journal, by the id that callers have of it. */
export type AskedPlace = Pick<EntryReference, "position" | "index">;

export interface AskedRevert extends Omit<AskedDetails, "at"> {
  readonly kind: "revert";
  readonly options: AskedOptions;
  readonly target: AskedPlace;
  readonly force: boolean;
  readonly atEffectiveDate: boolean;
}

export interface AskedHold extends AskedDetails {
  readonly kind: "hold";
  readonly options: AskedOptions;
  readonly from: string;
  readonly to: string;
  readonly asset: string;
  readonly amount: bigint;
  readonly expiresAt: number;
}

export interface AskedCapture extends AskedDetails {
  readonly kind: "capture";
  readonly options: AskedOptions;
  readonly hold: AskedPlace;
  /** undefined for all that is left. */
  readonly amount: bigint | undefined;
  readonly to: string | undefined;
  readonly expiresAt: number | null;
  readonly final: boolean;
}

export interface AskedRelease {
  readonly kind: "release";
  readonly options: AskedOptions;
  readonly hold: AskedPlace;
}

export interface AskedAccountChange {
  readonly kind: "account";
  readonly options: AskedOptions;
  readonly account: string;
  readonly change: AccountOptions;
}

export interface AskedMetadata {
  readonly kind: "metadata";
  readonly options: AskedOptions;
  readonly of: string | AskedPlace;
  readonly set: Details;
  readonly deleted: readonly string[];
  readonly metadataBytes: number;
}

/** All or none of several transactions. */
export interface AskedBatch {
  readonly kind: "batch";
  readonly options: AskedOptions;
  readonly posts: readonly AskedPost[];
}

/** Nothing but to know the head of the journal. */
interface AskedRefresh {
  readonly kind: "refresh";
  readonly options: AskedOptions;
}

/** A command that makes one entry. */
export type AskedSingle =
  | AskedPost
  | AskedRevert
  | AskedHold
  | AskedCapture
  | AskedRelease
  | AskedAccountChange
  | AskedMetadata;

export type Asked = AskedSingle | AskedBatch | AskedRefresh;

/** Postings of one transaction at most. */
const MAX_POSTINGS = 1_000;
/**
 * Levels of metadata at most. In a commit they stand a level below the data of their event, and the store reads back no
 * data of more than its own limit; what is left is for the rows and snapshots of readers.
 */
const MAX_METADATA_DEPTH: number = maxDepth - 4;
const NO_OPTIONS: AskedOptions = new PostOptions({
  key: undefined,
  expect: undefined,
  dryRun: false,
});
const ONLY_PLACE = [0];
const placeRule = /^(\d{1,16})\.(\d{1,6})$/;

export function preparePost(input: TransactionInput, options: FundsOptions = {}): AskedPost {
  assertObject("transaction", input);
  const { postings } = input;
  if (!Array.isArray(postings) || postings.length === 0)
    throw new InvalidArgumentError("postings", "a list of at least one posting", postings);
  if (postings.length > MAX_POSTINGS)
    throw new TransactionTooLargeError(postings.length, MAX_POSTINGS, "postings");
  const asked = preparePostings(postings);
  const asks = prepareOptions(options);
  const { onShortfall } = options;
  if (onShortfall !== undefined && onShortfall !== "reject" && onShortfall !== "partial")
    throw new InvalidArgumentError("onShortfall", '"reject" or "partial"', onShortfall);
  return new Post(asked, asks, prepareDetails(input), onShortfall);
}

function preparePostings(postings: readonly PostingInput[]): AskedPosting[] {
  // most have one: a list that grows would have room for 17, and a literal would grow old (see asked-post.ts)
  if (postings.length === 1) return ONLY_PLACE.map((at) => preparePosting(postings[at], at));
  return Array.from(postings, preparePosting);
}

function preparePosting(posting: PostingInput | undefined, at: number): AskedPosting {
  if (typeof posting !== "object" || posting === null)
    throw new InvalidArgumentError(`postings[${at}]`, "a posting", posting);
  try {
    const { source, destination, expiresAt } = posting;
    checkAccount("source", source);
    checkAccount("destination", destination);
    checkDiffers("destination", destination, "the source", source);
    const asset = checkAsset("asset", posting.asset);
    const amount = checkAmount("amount", posting.amount);
    return new PostPosting(source, destination, asset, amount, prepareExpiry(expiresAt));
  } catch (error) {
    throw error instanceof InvalidArgumentError ? error.within(`postings[${at}]`) : error;
  }
}

/** A grant, a spend or a transfer as the postings that it is. */
export function prepareGrant(input: GrantInput): TransactionInput {
  assertObject("grant", input);
  const { to, from = WORLD, asset, amount, expiresAt, ...details } = input;
  checkAccount("to", to);
  checkAccount("from", from);
  checkDiffers("to", to, "from", from);
  checkMoved(asset, amount, expiresAt);
  return { ...details, postings: [{ source: from, destination: to, asset, amount, expiresAt }] };
}

export function prepareSpend(input: SpendInput): TransactionInput {
  assertObject("spend", input);
  const { from, to = WORLD, asset, amount, ...details } = input;
  checkAccount("from", from);
  checkAccount("to", to);
  checkDiffers("to", to, "from", from);
  checkMoved(asset, amount, undefined);
  return { ...details, postings: [{ source: from, destination: to, asset, amount }] };
}

export function prepareTransfer(input: TransferInput): TransactionInput {
  assertObject("transfer", input);
  const { from, to, asset, ...details } = input;
  checkAccount("from", from);
  if (!Array.isArray(to) || to.length === 0)
    throw new InvalidArgumentError("to", "a list of at least one { account, amount }", to);
  checkAsset("asset", asset);
  const items: TransferInput["to"] = to;
  const seen = new Set<string>();
  const postings = items.map((item, at) => {
    assertObject(`to[${at}]`, item);
    const { account, amount, expiresAt } = item;
    try {
      checkAccount("account", account);
      checkDiffers("account", account, "the sender", from);
      if (seen.has(account))
        throw new InvalidArgumentError("account", "each recipient once", account);
      checkMoved(asset, amount, expiresAt);
    } catch (error) {
      throw error instanceof InvalidArgumentError ? error.within(`to[${at}]`) : error;
    }
    seen.add(account);
    return { source: from, destination: account, asset, amount, expiresAt };
  });
  return { ...details, postings };
}

/** Names what the caller gave, where the posting that is made of it would name itself. */
function checkMoved(asset: unknown, amount: unknown, expiresAt: unknown): void {
  checkAsset("asset", asset);
  checkAmount("amount", amount);
  prepareExpiry(expiresAt);
}

function checkDiffers(argument: string, account: string, from: string, other: string): void {
  if (account !== other) return;
  throw new InvalidArgumentError(argument, `another account than ${from}`, account);
}

export function prepareDetails(input: TransactionDetails): AskedDetails {
  const { at, reference, metadata } = input;
  if (reference !== undefined) checkReference("reference", reference);
  if (at === undefined && metadata === undefined)
    return { at, reference, metadata, metadataBytes: 0 };
  return {
    at: at === undefined ? undefined : checkInstant("at", at),
    reference,
    ...prepareMetadata("metadata", metadata),
  };
}

/**
 * A copy that is the command's own, as the journal will give it back.
 *
 * @throws {InvalidArgumentError} of anything but a plain object
 * @throws {UnserialisableValueError} of what has no stored form, or is nested too deep to be read back
 */
export function prepareMetadata(
  argument: string,
  metadata: unknown,
): Pick<AskedDetails, "metadata" | "metadataBytes"> {
  if (metadata === undefined) return { metadata: undefined, metadataBytes: 0 };
  const isMap = typeof metadata === "object" && metadata !== null && !Array.isArray(metadata);
  if (!isMap || metadata instanceof Date || metadata instanceof Uint8Array)
    throw new InvalidArgumentError(argument, "a plain object", metadata);
  const packed = pack(serialisable(metadata, "metadata", undefined));
  const copy = unpack(packed, 0, packed.length) as Details;
  // each level has a byte at least
  if (packed.length > MAX_METADATA_DEPTH && isDeeper(copy, MAX_METADATA_DEPTH)) {
    const reason = `nested deeper than ${MAX_METADATA_DEPTH} levels`;
    throw new UnserialisableValueError(argument, reason);
  }
  return { metadata: copy, metadataBytes: packed.length };
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (value instanceof Date || value instanceof Uint8Array) return false;
  if (levels === 0) return true;
  return Object.values(value).some((part) => isDeeper(part, levels - 1));
}

export function prepareExpiry(expiresAt: unknown): number | null {
  return expiresAt === undefined || expiresAt === null
    ? null
    : checkInstant("expiresAt", expiresAt);
}

export function prepareOptions(options: CommandOptions): AskedOptions {
  assertObject("options", options);
  const { idempotencyKey, expect, dryRun } = options;
  if (idempotencyKey === undefined && expect === undefined && dryRun === undefined)
    return NO_OPTIONS;
  if (idempotencyKey !== undefined) checkReference("idempotencyKey", idempotencyKey);
  checkFlag("dryRun", dryRun);
  if (expect !== undefined) checkExpectation(expect);
  return new PostOptions({ key: idempotencyKey, expect, dryRun: dryRun === true });
}

/** The place that an id names. @throws {InvalidArgumentError} */
export function preparePlace(argument: string, id: unknown): AskedPlace {
  const parts = typeof id === "string" ? placeRule.exec(id) : null;
  const position = Number(parts?.[1]);
  if (parts === null || !Number.isSafeInteger(position))
    throw new InvalidArgumentError(argument, "an id <position>.<index> of this ledger", id);
  return { position, index: Number(parts[2]) };
}

/** The balances that are expected at least. */
export function balancesOf({ balance }: Expectation): readonly BalanceExpectation[] {
  if (balance === undefined) return [];
  return isList(balance) ? balance : [balance];
}

function isList(balance: Expectation["balance"]): balance is readonly BalanceExpectation[] {
  return Array.isArray(balance);
}

function checkExpectation(expect: Expectation): void {
  assertObject("expect", expect);
  const { version } = expect;
  if (version !== undefined && !(Number.isSafeInteger(version) && version >= 0))
    throw new InvalidArgumentError("expect.version", "a version from 0", version);
  const { balance } = expect;
  for (const [at, one] of balancesOf(expect).entries())
    checkBalanceExpectation(isList(balance) ? `expect.balance[${at}]` : "expect.balance", one);
}

function checkBalanceExpectation(argument: string, expected: BalanceExpectation): void {
  assertObject(argument, expected);
  const { account, asset, gte } = expected;
  checkAccount(`${argument}.account`, account);
  checkAsset(`${argument}.asset`, asset);
  if (typeof gte !== "bigint")
    throw new InvalidArgumentError(`${argument}.gte`, "a bigint in minor units", gte);
}

/** @throws {InvalidArgumentError} where it is neither undefined nor true nor false */
export function checkFlag(argument: string, flag: unknown): void {
  if (flag === undefined || typeof flag === "boolean") return;
  throw new InvalidArgumentError(argument, "true or false", flag);
}

export function assertObject(argument: string, value: unknown): void {
  if (typeof value === "object" && value !== null) return;
  throw new InvalidArgumentError(argument, "an object", value);
}
