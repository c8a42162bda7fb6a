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
 * The entries that are not deleted in the order of their keys, in pages. Each page is of one moment, the whole is not:
 * what is written meanwhile may be in it or not.
 */
export async function* listEntries(
  place: EntryPlace,
  selection: KeySelection,
): AsyncGenerator<readonly BucketEntry[], void, undefined> {
  const { prefix, signal } = selection;
  const { connection, direct, apiPrefix, subjectStart, timeoutMs } = place;
  const filter = `${subjectStart}${prefix === undefined ? "" : `${prefix}.`}>`;
  let behind = selection.after === undefined ? "" : `${subjectStart}${selection.after}`;
  let left = selection.limit ?? Number.POSITIVE_INFINITY;
  for (let offset = 0; left > 0; ) {
    signal?.throwIfAborted();
    const page = await listSubjects(
      connection,
      direct.stream,
      apiPrefix,
      filter,
      offset,
      timeoutMs,
    );
    const subjects = page.subjects.filter((subject) => subject > behind);
    for (let at = 0; at < subjects.length && left > 0; ) {
      const asked = subjects.slice(at, at + Math.min(pageEntries, left));
      const entries = (await direct.multiLast(asked, { timeoutMs, signal }))
        .map((message) => entryOf(message, subjectStart.length))
        .filter(({ deleted }) => !deleted)
        .sort(byKey);
      if (entries.length > 0) yield entries;
      left -= entries.length;
      at += asked.length;
    }
    behind = subjects.at(-1) ?? behind;
    offset += page.subjects.length;
    if (page.subjects.length === 0 || offset >= page.total) return;
  }
}

function byKey(one: BucketEntry, other: BucketEntry): number {
  return one.key < other.key ? -1 : 1;
}
