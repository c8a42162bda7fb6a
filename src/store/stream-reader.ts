import { InvalidArgumentError } from "../errors.ts";
import type { StoredCommit } from "./commit.ts";
import type { StreamSelection } from "./commit-stream.ts";
import type { Interpret } from "./commit-values.ts";
import type { StoreContext } from "./context.ts";
import type { Commit, Cursor, EventMap, RecordedEvent } from "./event.ts";
import type { Interpreter } from "./interpreter.ts";
import { count } from "./options.ts";
import { StreamRead } from "./stream-read.ts";
import { type Actor, actorSubject, validateActorType } from "./subject.ts";
import { StreamSubscription, type Subscription } from "./subscription.ts";

/** Whose events to read. */
interface StreamFilter<Type extends string> {
  /** Only actors of this type. @default all */
  readonly actorType?: Type | undefined;
  /** Only this actor; excludes `actorType`. */
  readonly actor?: Actor<Type> | undefined;
  /** From the first commit that the server stored at or after this; excludes `after`. */
  readonly since?: Date | undefined;
  /** Commits fetched ahead of the reader at most. @default the store's `readBufferCommits` */
  readonly maxBufferedCommits?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which part of the stream to read. */
export interface StreamReadOptions<Type extends string = string> extends StreamFilter<Type> {
  /** Go on behind this cursor, also in the middle of a commit. @default from the start */
  readonly after?: Cursor | undefined;
  /** Events (commits for `readCommits`) at most. @default all */
  readonly limit?: number | undefined;
}

/** Which part of the stream to follow. */
export interface SubscribeOptions<Type extends string = string> extends StreamFilter<Type> {
  /** Go on behind this cursor, or behind what stands there `"now"`. @default from the start */
  readonly after?: Cursor | "now" | undefined;
}

/** Reads the whole stream, or a part of it, once or for ever. */
export class StreamReader<Events extends EventMap> {
  readonly #context: StoreContext;
  readonly #interpreter: Interpreter<Events>;
  readonly #subscriptions = new Set<Subscription<unknown>>();
  readonly #reads = new Set<StreamRead<unknown>>();

  constructor(context: StoreContext, interpreter: Interpreter<Events>) {
    this.#context = context;
    this.#interpreter = interpreter;
  }

  events(options: StreamReadOptions): AsyncIterableIterator<RecordedEvent<Events>> {
    return this.#read(options, this.#toEvents);
  }

  commits(options: StreamReadOptions): AsyncIterableIterator<Commit<Events>> {
    return this.#read(options, this.#toCommits);
  }

  subscribe(options: SubscribeOptions): Subscription<RecordedEvent<Events>> {
    return this.#kept(
      new StreamSubscription(this.#context, this.#selection(options), this.#toEvents),
    );
  }

  subscribeCommits(options: SubscribeOptions): Subscription<Commit<Events>> {
    return this.#kept(
      new StreamSubscription(this.#context, this.#selection(options), this.#toCommits),
    );
  }

  /** Ends all subscriptions, and makes the reads that are not at their end fail with `ClosedError`. */
  async close(): Promise<void> {
    const running = [...this.#subscriptions, ...this.#reads];
    await Promise.all(running.map((each) => each.close()));
  }

  readonly #toEvents = (
    commit: StoredCommit,
    taken: number,
  ): RecordedEvent<Events>[] | Promise<RecordedEvent<Events>[]> => {
    const events = this.#interpreter.events(commit);
    if (taken === 0) return events;
    return Promise.resolve(events).then((all) => all.slice(taken));
  };

  readonly #toCommits = (
    commit: StoredCommit,
    taken: number,
  ): Commit<Events>[] | Promise<Commit<Events>[]> => {
    const whole = this.#interpreter.commit(commit);
    return whole instanceof Promise
      ? whole.then((interpreted) => [withoutTaken(interpreted, taken)])
      : [withoutTaken(whole, taken)];
  };

  #read<T>(options: StreamReadOptions, interpret: Interpret<T>): AsyncIterableIterator<T> {
    const selection = this.#selection(options);
    const limit = limitOf(options);
    return new StreamRead(this.#context, selection, interpret, limit, this.#reads).values;
  }

  #kept<T>(subscription: StreamSubscription<T>): StreamSubscription<T> {
    this.#subscriptions.add(subscription);
    void subscription.ended.then(() => this.#subscriptions.delete(subscription));
    return subscription;
  }

  #selection(options: SubscribeOptions): StreamSelection {
    const { actor, actorType, after, since, signal, maxBufferedCommits } = options;
    if (since !== undefined && after !== undefined) {
      throw new InvalidArgumentError("since", "nothing beside after", since);
    }
    if (since !== undefined && !(since instanceof Date && !Number.isNaN(since.getTime()))) {
      throw new InvalidArgumentError("since", "a valid Date", since);
    }
    if (maxBufferedCommits !== undefined) count("maxBufferedCommits", maxBufferedCommits, 1);
    const filters = [this.#filter(actor, actorType)];
    return { filters, after, since, maxBufferedCommits, signal };
  }

  #filter(actor: Actor | undefined, actorType: string | undefined): string {
    const { prefix } = this.#context;
    if (actor !== undefined && actorType !== undefined) {
      throw new InvalidArgumentError("actorType", "nothing beside actor", actorType);
    }
    if (actor !== undefined) return actorSubject(prefix, actor);
    if (actorType === undefined) return `${prefix}.>`;
    validateActorType(actorType, "actorType");
    return `${prefix}.${actorType}.*`;
  }
}

function limitOf({ limit }: StreamReadOptions): number {
  return limit === undefined ? Number.POSITIVE_INFINITY : count("limit", limit, 0);
}

/** A commit of which some events were taken comes with the rest of them. */
function withoutTaken<Events extends EventMap>(
  commit: Commit<Events>,
  taken: number,
): Commit<Events> {
  if (taken === 0) return commit;
  const firstVersion = commit.firstVersion + taken;
  return { ...commit, firstVersion, events: commit.events.slice(taken) };
}
