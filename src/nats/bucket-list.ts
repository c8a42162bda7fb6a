import { type BucketEntry, entryOf } from "./bucket-entry.ts";
import type { EntryPlace } from "./bucket-entries.ts";
import { listSubjects } from "./subjects.ts";

/** Which keys to list. */
export interface KeySelection {
  /** Tokens that the keys begin with, such as `balance`. @default all keys */
  readonly prefix?: string | undefined;
  /** Go on behind this key. */
  readonly after?: string | undefined;
  /** Entries at most. @default all */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Entries fetched at once: few, because a page of large ones must fit into what the server sends in one answer. */
const pageEntries = 256;

/**
 * The keys at which anything stands, deletions included, in their order, in pages. The server, by its leader, lists and
 * sorts all keys of the prefix for each.
 */
export async function* listKeys(
  { connection, direct, apiPrefix, subjectStart, timeoutMs }: EntryPlace,
  { prefix, after, signal }: Omit<KeySelection, "limit">,
): AsyncGenerator<readonly string[], void, undefined> {
  const filter = `${subjectStart}${prefix === undefined ? "" : `${prefix}.`}>`;
  let behind = after === undefined ? "" : `${subjectStart}${after}`;
  const { stream } = direct;
  for (let offset = 0; ; ) {
    signal?.throwIfAborted();
    const page = await listSubjects(connection, stream, apiPrefix, filter, offset, timeoutMs);
    const subjects = page.subjects.filter((subject) => subject > behind);
    if (subjects.length > 0) yield subjects.map((subject) => subject.slice(subjectStart.length));
    behind = subjects.at(-1) ?? behind;
    offset += page.subjects.length;
    if (page.subjects.length === 0 || offset >= page.total) return;
  }
}

/**
 * The entries that are not deleted in the order of their keys, in pages. Each page is of one moment, the whole is not:
 * what is written meanwhile may be in it or not.
 */
export async function* listEntries(
  place: EntryPlace,
  { limit, ...selection }: KeySelection,
): AsyncGenerator<readonly BucketEntry[], void, undefined> {
  const { direct, subjectStart, timeoutMs } = place;
  const bounds = { timeoutMs, signal: selection.signal };
  let left = limit ?? Number.POSITIVE_INFINITY;
  if (left <= 0) return;
  for await (const keys of listKeys(place, selection)) {
    for (let at = 0; at < keys.length; ) {
      const asked = keys.slice(at, at + Math.min(pageEntries, left));
      const subjects = asked.map((key) => `${subjectStart}${key}`);
      const entries = (await direct.multiLast(subjects, bounds))
        .map((message) => entryOf(message, subjectStart.length))
        .filter(({ deleted }) => !deleted)
        .sort(byKey);
      if (entries.length > 0) yield entries;
      left -= entries.length;
      if (left <= 0) return;
      at += asked.length;
    }
  }
}

function byKey(one: BucketEntry, other: BucketEntry): number {
  return one.key < other.key ? -1 : 1;
}
