import { InvalidArgumentError, StreamRolledBackError } from "../errors.ts";
import { toJson } from "../internal/json.ts";
import type { Bucket, BucketChange, BucketEntry } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import { readCommit } from "../store/commit.ts";
import type { RecordedEvent } from "../store/event.ts";
import type { StoreInternals } from "../store/internals.ts";
import { CorruptStateError, type EventPlace, type ReactorFailedError } from "./errors.ts";
import { putUntilKnown } from "./put-until-known.ts";

/** An event that a reactor could not handle and has set aside. */
export interface ReactorDeadLetter {
  /** `<position>-<index>`: what `retryDeadLetter` takes. */
  readonly id: string;
  readonly event: EventPlace;
  /** The event's data as JSON shows it: big integers and dates as text, bytes as base64; undefined for large data. */
  readonly data: unknown;
  /** What the last attempt failed with. */
  readonly error: string;
  readonly attempts: number;
  /** When the last attempt failed, by the server's clock. */
  readonly parkedAt: Date;
}

/** A dead letter with the sequence of its entry. */
interface StoredLetter {
  readonly letter: ReactorDeadLetter;
  readonly sequence: number;
}

const MAX_ERROR_LENGTH = 10_000;

/** The events that a reactor has set aside, as entries of its bucket: `<prefix>.<position>-<index>`, JSON for people. */
export class ReactorDeadLetters {
  readonly #internals: StoreInternals;
  readonly #bucket: Bucket;
  readonly #prefix: string;

  constructor(internals: StoreInternals, bucket: Bucket, prefix: string) {
    this.#internals = internals;
    this.#bucket = bucket;
    this.#prefix = prefix;
  }

  /** The entry for an event that failed. */
  format(event: RecordedEvent, failure: ReactorFailedError): BucketChange {
    const { cause, attempts } = failure;
    const error = (cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)).slice(
      0,
      MAX_ERROR_LENGTH,
    );
    const key = `${this.#prefix}.${event.position}-${event.index}`;
    const whole = Buffer.from(toJson({ event: failure.event, data: event.data, error, attempts }));
    if (whole.length <= this.#bucket.maxEntryBytes) return { key, data: whole };
    return { key, data: Buffer.from(toJson({ event: failure.event, error, attempts })) };
  }

  /** All of them, in the order of the stream. */
  async list(signal: AbortSignal | undefined): Promise<readonly ReactorDeadLetter[]> {
    const letters: ReactorDeadLetter[] = [];
    for await (const page of this.#bucket.list({ prefix: this.#prefix, signal })) {
      for (const entry of page) letters.push(this.#parse(entry));
    }
    return letters.sort(
      ({ event: a }, { event: b }) => a.position - b.position || a.index - b.index,
    );
  }

  /** @throws {InvalidArgumentError} where there is no such letter */
  async get(id: string, signal: AbortSignal): Promise<StoredLetter> {
    const entry = /^\d{1,16}-\d{1,9}$/.test(id)
      ? await this.#bucket.leaderGet(this.#key(id), this.#bounds(signal))
      : undefined;
    if (entry !== undefined && !entry.deleted) {
      return { letter: this.#parse(entry), sequence: entry.sequence };
    }
    throw new InvalidArgumentError("id", "the id of a dead letter", id);
  }

  /**
   * The event of a letter, from the stream.
   *
   * @throws {StreamRolledBackError} it does not stand there any more
   */
  async eventOf({ event }: ReactorDeadLetter, signal: AbortSignal): Promise<RecordedEvent> {
    const { context, interpreter } = this.#internals;
    const { position, index, id } = event;
    const message = await context.direct.leaderBySequence(position, this.#bounds(signal));
    const commit = message === undefined ? undefined : readCommit(message, context.prefix);
    const events = commit === undefined ? [] : await interpreter.events(commit);
    const found = events[index];
    if (found?.id === id) return found;
    const commitId = id.slice(0, id.lastIndexOf(":"));
    throw new StreamRolledBackError(context.stream, position, commitId, commit?.commitId);
  }

  /** Puts another in the place of a letter, or nothing; what was written there meanwhile stays. */
  async replace(
    { letter, sequence }: StoredLetter,
    by: BucketChange | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const decide = (standing: BucketEntry | undefined): Uint8Array | "delete" | undefined =>
      standing?.sequence === sequence ? (by?.data ?? "delete") : undefined;
    await putUntilKnown(this.#bucket, this.#key(letter.id), decide, this.#bounds(signal));
  }

  #key(id: string): string {
    return `${this.#prefix}.${id}`;
  }

  #bounds(signal: AbortSignal): ReadBounds {
    return { timeoutMs: this.#internals.context.limits.readTimeoutMs, signal };
  }

  #parse({ key, data, timestampMs }: BucketEntry): ReactorDeadLetter {
    const id = key.slice(this.#prefix.length + 1);
    try {
      const stored = JSON.parse(Buffer.from(data).toString()) as Omit<
        ReactorDeadLetter,
        "id" | "parkedAt"
      >;
      const { event, error, attempts } = stored;
      if (id !== `${event.position}-${event.index}`) throw new Error("it is another event's");
      return { id, event, data: stored.data, error, attempts, parkedAt: new Date(timestampMs) };
    } catch (cause) {
      throw new CorruptStateError(this.#bucket.name, key, "it is no dead letter", { cause });
    }
  }
}
