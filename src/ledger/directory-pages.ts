import { InvalidArgumentError } from "../errors.ts";
import type { DirectoryCache } from "./directory-cache.ts";
import type { BucketRecord, DirectoryEntry, DirectoryLog } from "./directory-log.ts";
import { type BucketInfo, handOut, type LedgerInfo } from "./ledger-info.ts";
import { checkName } from "./names.ts";
import type { Page } from "./transaction.ts";

/** Which part of a list. */
export interface PageOptions {
  /** Go on behind this name: a page's `cursor`. */
  readonly after?: string | undefined;
  /** Items at most, 1 to 1,000. @default 100 */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which ledgers to list. */
export interface LedgerListOptions extends PageOptions {
  /** Only those of this bucket. @default all */
  readonly bucket?: string | undefined;
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
/** Loads at once. */
const CHUNK = 64;

/** Ledgers by name, those of deleted buckets left out. What was read goes into the cache. */
export async function listLedgers(
  log: DirectoryLog,
  cache: DirectoryCache<DirectoryEntry>,
  timeoutMs: number,
  options: LedgerListOptions,
): Promise<Page<LedgerInfo>> {
  const page = pageBounds(options);
  const { bucket, after, signal } = options;
  if (bucket !== undefined) checkName("bucket", bucket);
  const bounds = { timeoutMs, signal };
  const start = cache.start();
  const names =
    bucket === undefined ? log.ledgerNames(after, signal) : await log.ledgerNamesIn(bucket, bounds);
  const buckets = new Map<string, Promise<BucketRecord>>();
  return pageOf(names, page, async (name) => {
    const record = await log.ledger(name, bounds);
    if (record === undefined) return undefined;
    const { info } = record;
    const asked = buckets.get(info.bucket) ?? log.bucket(info.bucket, bounds);
    buckets.set(info.bucket, asked);
    const { version, deleted } = await asked;
    if (deleted) return undefined;
    cache.store(name, { info, version: record.version, bucketVersion: version }, start);
    return handOut(info);
  });
}

/** Buckets by name, the deleted ones too. */
export function listBuckets(
  log: DirectoryLog,
  timeoutMs: number,
  options: PageOptions,
): Promise<Page<BucketInfo>> {
  const { signal, after } = options;
  return pageOf(log.bucketNames(after, signal), pageBounds(options), async (name) => {
    const { deleted } = await log.bucket(name, { timeoutMs, signal });
    return Object.freeze({ name, deleted });
  });
}

/**
 * The next items of a list in the order of their names. One more than asked for is looked for, so that the page knows
 * whether there is more.
 *
 * @param names all names in order, from where the caller likes; those up to `after` are passed over
 * @param load undefined for what is not to be listed
 */
async function pageOf<Item extends { readonly name: string }>(
  names: AsyncIterable<string> | Iterable<string>,
  { after, limit }: { readonly after: string; readonly limit: number },
  load: (name: string) => Promise<Item | undefined>,
): Promise<Page<Item>> {
  const items: Item[] = [];
  let chunk: string[] = [];
  const take = async (): Promise<void> => {
    for (const item of await Promise.all(chunk.map(load))) if (item !== undefined) items.push(item);
    chunk = [];
  };
  for await (const name of names) {
    if (name <= after) continue;
    chunk.push(name);
    if (chunk.length >= Math.min(CHUNK, limit + 1 - items.length)) await take();
    if (items.length > limit) break;
  }
  await take();
  const hasMore = items.length > limit;
  const page = items.slice(0, limit);
  return Object.freeze({
    items: Object.freeze(page),
    cursor: hasMore ? page.at(-1)?.name : undefined,
  });
}

/** @throws {InvalidArgumentError} */
function pageBounds({ after, limit = DEFAULT_LIMIT }: PageOptions): {
  readonly after: string;
  readonly limit: number;
} {
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new InvalidArgumentError("limit", `a whole number from 1 to ${MAX_LIMIT}`, limit);
  }
  return { after: after === undefined ? "" : checkName("after", after), limit };
}
