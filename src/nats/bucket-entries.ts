import type { BatchSource } from "../internal/batched-iterator.ts";
import { type BucketEntry, entryOf } from "./bucket-entry.ts";
import type { Connection } from "./connection.ts";
import type { DirectReader, ReadBounds } from "./direct.ts";
import { Feed } from "./feed.ts";
import type { ConsumerMessage } from "./stored-message.ts";

/** Which entries to read, and how far. */
export interface EntrySelection {
  /** A key, or a pattern of keys such as `balance.>`. @default all */
  readonly filter?: string | undefined;
  /** @default 1 */
  readonly fromSequence?: number | undefined;
  /** `head`: end when all that stood there at the start was handed out; `never`: go on with what is written then. */
  readonly until: "head" | "never";
  readonly signal?: AbortSignal | undefined;
}

/** Where the entries are, and how they are reached. */
export interface EntryPlace {
  readonly connection: Connection;
  readonly direct: DirectReader;
  readonly apiPrefix: string;
  readonly inboxPrefix: string;
  /** Of the keys' subjects, with the dot. */
  readonly subjectStart: string;
  readonly timeoutMs: number;
}

/**
 * Entries in the order in which they were written, in batches. The bucket keeps one message a key, so what stood at
 * the head may be gone before it is reached; but then what replaced it comes later.
 */
export class BucketEntries implements BatchSource<readonly BucketEntry[]> {
  readonly #place: EntryPlace;
  readonly #selection: EntrySelection;
  readonly #filter: string;
  readonly #bounds: ReadBounds;
  #feed: Feed | undefined;
  #head: number | undefined;
  #last: number;
  #arriving: Promise<readonly ConsumerMessage[] | undefined> | undefined;

  constructor(place: EntryPlace, selection: EntrySelection) {
    this.#place = place;
    this.#selection = selection;
    this.#filter = `${place.subjectStart}${selection.filter ?? ">"}`;
    this.#bounds = { timeoutMs: place.timeoutMs, signal: selection.signal };
    this.#last = Math.max(1, selection.fromSequence ?? 1) - 1;
  }

  async next(): Promise<readonly (readonly BucketEntry[])[] | undefined> {
    if (this.#selection.until === "head") this.#head ??= await this.#findHead();
    if (this.#head !== undefined && this.#last >= this.#head) return undefined;
    this.#feed ??= this.#open();
    this.#arriving ??= this.#feed.next();
    const messages = await this.#arrived(this.#arriving);
    if (messages === "quiet") {
      // Somebody may have purged what is waited for, which leaves nothing in its place.
      this.#head = await this.#findHead();
      return [];
    }
    this.#arriving = undefined;
    if (messages === undefined) return undefined;
    this.#last = messages.at(-1)?.sequence ?? this.#last;
    const keyStart = this.#place.subjectStart.length;
    return [messages.map((message) => entryOf(message, keyStart))];
  }

  async close(): Promise<void> {
    await this.#feed?.close();
  }

  #open(): Feed {
    const { connection, direct, apiPrefix, inboxPrefix, timeoutMs } = this.#place;
    return new Feed(connection, {
      stream: direct.stream,
      apiPrefix,
      inboxPrefix,
      timeoutMs,
      filterSubjects: [this.#filter],
      start: { sequence: this.#last + 1 },
      signal: this.#selection.signal,
    });
  }

  /** Sequence of the last entry that the leader has; 0 for none. */
  async #findHead(): Promise<number> {
    const last = await this.#place.direct.leaderLastBySubject(this.#filter, this.#bounds);
    return last?.sequence ?? 0;
  }

  /** What arrives; where there is a head to reach, not later than the time that a read may take. */
  async #arrived(
    arriving: Promise<readonly ConsumerMessage[] | undefined>,
  ): Promise<readonly ConsumerMessage[] | undefined | "quiet"> {
    if (this.#head === undefined) return arriving;
    arriving.catch(() => {});
    let timer: NodeJS.Timeout | undefined;
    const quiet = new Promise<"quiet">((resolve) => {
      timer = setTimeout(resolve, this.#place.timeoutMs, "quiet");
    });
    try {
      return await Promise.race([arriving, quiet]);
    } finally {
      clearTimeout(timer);
    }
  }
}
