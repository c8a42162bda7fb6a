import { type AppendOutcomeUnknownError, ClosedError } from "../errors.ts";
import { releaseAll } from "../internal/release-all.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import { borrowConnection, type NatsConnection, openConnection } from "../nats/connection.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { SettingsProblem } from "../nats/stream-settings.ts";
import { type ActorPage, listActors } from "./actor-list.ts";
import { ActorReader, type ReadOptions } from "./actor-reader.ts";
import { Appender } from "./appender.ts";
import { assemble, type StoreParts } from "./assembly.ts";
import { BatchAppender } from "./batch-appender.ts";
import type { StoreContext } from "./context.ts";
import type { ActorType, Commit, EventMap, NewEvent, RecordedEvent } from "./event.ts";
import { Follower } from "./follower.ts";
import { Heads } from "./heads.ts";
import { HistoryReader } from "./history-reader.ts";
import { keepInternals } from "./internals.ts";
import { type ConnectOptions, count, resolveOptions, type StoreOptions } from "./options.ts";
import { Placement } from "./placement.ts";
import { lastPosition, waitForPosition } from "./positions.ts";
import { type StreamReadOptions, StreamReader, type SubscribeOptions } from "./stream-reader.ts";
import { type Actor, actorSubject } from "./subject.ts";
import type { Subscription } from "./subscription.ts";
import { type AppendOptions, type AppendResult, type CommitOptions, Writer } from "./writer.ts";

/** One actor's part of an `appendAll`. */
export type AppendEntry<Events extends EventMap = EventMap> = {
  readonly [Type in ActorType<Events>]: {
    readonly actor: Actor<Type>;
    readonly events: readonly NewEvent<Events[Type]>[];
    readonly expectedVersion: AppendOptions["expectedVersion"];
  };
}[ActorType<Events>];

/** How long to wait, and what may end the wait. */
export interface WaitOptions {
  /** @default the store's `readTimeoutMs` */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How a store is. */
export interface StoreHealth {
  readonly connected: boolean;
  readonly server: string | undefined;
  readonly serverVersion: string | undefined;
  readonly stream: string;
  /** Replicas of the stream when the server was last asked (`identityCheckMs`). */
  readonly replicas: number;
  /** Settings of the stream that could lose, hide or change events, as the server last said; empty where none could. */
  readonly settingsProblems: readonly SettingsProblem[];
  /** Whether the store hears what others append, now; always false without `follow`. */
  readonly following: boolean;
  /** Appends that run or wait. */
  readonly appendsInFlight: number;
  readonly cachedActors: number;
}

/**
 * An event-sourced store of actors on one JetStream stream. Safe to use from many processes at once: the server decides
 * each append, the store only knows where to ask.
 *
 * @example
 * const store = await EventStore.connect<Bank>({ servers: "127.0.0.1:4222", stream: "BANK" });
 * const alice = { type: "account", id: "alice" } as const;
 * const deposited = { type: "Deposited", data: { amount: 10n } } as const;
 * const { version } = await store.append(alice, [deposited], { expectedVersion: "none" });
 * for await (const event of store.read(alice)) console.log(event.version, event.type, event.data);
 * await store.close();
 */
export class EventStore<Events extends EventMap = EventMap> {
  readonly #context: StoreContext;
  readonly #writer: Writer<Events>;
  readonly #heads: Heads;
  readonly #reader: ActorReader<Events>;
  readonly #streamReader: StreamReader<Events>;
  readonly #follower: Follower | undefined;
  #closing: Promise<void> | undefined;

  private constructor(parts: StoreParts<Events>) {
    const { context, interpreter } = parts;
    const history = new HistoryReader(context);
    const heads = new Heads(context);
    const placement = new Placement(context, history);
    const appender = new Appender(context, heads, placement);
    const batches = new BatchAppender(context, heads, placement, uniqueIds());
    this.#context = context;
    this.#heads = heads;
    this.#writer = new Writer(context, appender, batches, interpreter);
    this.#reader = new ActorReader(context, history, interpreter);
    this.#streamReader = new StreamReader(context, interpreter);
    this.#follower =
      parts.follow && !context.cache.off
        ? new Follower(context, parts.checked.state.lastSequence)
        : undefined;
    const writer = this.#writer;
    keepInternals(this, {
      context,
      interpreter,
      history,
      heads,
      appendEncoded: (append, timeoutMs) => writer.appendEncoded(append, timeoutMs),
      appendAllEncoded: (appends, timeoutMs) => writer.appendAllEncoded(appends, timeoutMs),
    });
  }

  /**
   * Connects, then opens; `close` closes the connection too.
   *
   * @throws {ConnectionFailedError} where no server answers within `connectTimeoutMs`; else as {@link open}
   */
  static async connect<Events extends EventMap = EventMap>(
    options: ConnectOptions<Events>,
  ): Promise<EventStore<Events>> {
    const { connectTimeoutMs } = resolveOptions<Events>(options);
    options.signal?.throwIfAborted();
    const connection = await openConnection(natsOptions(options), connectTimeoutMs, options.signal);
    try {
      return new EventStore<Events>(await assemble(connection, options, options.inboxPrefix));
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /**
   * Opens a store on the service's own connection, which stays open when the store closes. The stream is created on
   * first use; the settings of an existing one are checked.
   *
   * @param options `inboxPrefix` must be given where the connection has one of its own
   * @throws {ServerTooOldError}, {StreamSettingsError}, {StreamNotFoundError}, {JetStreamUnavailableError}
   */
  static async open<Events extends EventMap = EventMap>(
    nc: NatsConnection,
    options: StoreOptions<Events> & { readonly inboxPrefix?: string | undefined },
  ): Promise<EventStore<Events>> {
    resolveOptions<Events>(options);
    const connection = borrowConnection(nc, options.inboxPrefix ?? "_INBOX");
    try {
      return new EventStore<Events>(await assemble(connection, options, options.inboxPrefix));
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Name of the stream. */
  get stream(): string {
    return this.#context.stream;
  }

  /**
   * Appends events to one actor: all or nothing, in one round trip where its version is known. An append whose ack is
   * lost is looked for and sent again until its outcome is proven, or its time is over.
   *
   * @throws {VersionConflictError} the actor is not where it was expected
   * @throws {AppendOutcomeUnknownError} no proof in time; see {@link resolve}
   * @throws {JetStreamUnavailableError}, {ConnectionFailedError}, {ReadTimeoutError} no turn or no answer in time, and
   * nothing was sent that could be stored
   * @throws {CommitIdReusedError}, {AppendTooLargeError}, {UnserialisableValueError}, {SchemaValidationError},
   * {InvalidArgumentError}, {OverloadedError}, {StreamRolledBackError}, {ClosedError}
   */
  append<Type extends ActorType<Events>>(
    actor: Actor<Type>,
    events: readonly NewEvent<Events[Type]>[],
    options: AppendOptions,
  ): Promise<AppendResult> {
    return this.#writer.append(actor, events, options);
  }

  /**
   * Appends to several actors at once, all or nothing, in one round trip; each actor once, at most 1,000. Costs the
   * server about 2 to 4 ms a call on a single node with file storage, whatever its size.
   *
   * @returns results in the order of the entries; their commit ids are `<commit id>/<number of the actor>`
   * @throws {VersionConflictError} naming the actor; else as {@link append}
   */
  appendAll(
    entries: readonly AppendEntry<Events>[],
    options: CommitOptions = {},
  ): Promise<readonly AppendResult[]> {
    return this.#writer.appendAll(entries, options);
  }

  /**
   * Finishes an append (or appendAll) whose outcome is unknown: its result if it is stored, now or by sending it again.
   *
   * @throws {VersionConflictError} it was not stored and never will be: another commit stands at its place
   * @throws {AppendOutcomeUnknownError} still no proof
   */
  resolve(
    error: AppendOutcomeUnknownError,
    options: WaitOptions = {},
  ): Promise<readonly AppendResult[]> {
    return this.#writer.resolve(error, options);
  }

  /**
   * The events of one actor, as they stand when the iteration starts; checked to be dense in version. What this store has
   * appended to the actor is among them, also on a replicated stream, where what others have just appended may not be yet:
   * see {@link latestVersion} and {@link waitFor}.
   */
  read<Type extends ActorType<Events>>(
    actor: Actor<Type>,
    options: ReadOptions = {},
  ): AsyncIterableIterator<RecordedEvent<Events, Type>> {
    this.#assertOpen();
    return ofType(this.#reader.read(actor, options));
  }

  /** The last `count` events of an actor, oldest first. */
  async readLast<Type extends ActorType<Events>>(
    actor: Actor<Type>,
    count: number,
    options: Pick<ReadOptions, "signal"> = {},
  ): Promise<RecordedEvent<Events, Type>[]> {
    this.#assertOpen();
    return ofType(await this.#reader.last(actor, count, options.signal));
  }

  /** The actor's version as the server (the leader, when replicated) has it now; 0 without events. */
  async latestVersion(actor: Actor<ActorType<Events>>, options: WaitOptions = {}): Promise<number> {
    this.#assertOpen();
    const subject = actorSubject(this.#context.prefix, actor);
    return (await this.#heads.latest(subject, this.#bounds(options))).version;
  }

  /** Whether the actor has events, by the server. */
  async exists(actor: Actor<ActorType<Events>>, options: WaitOptions = {}): Promise<boolean> {
    return (await this.latestVersion(actor, options)) > 0;
  }

  /** What the version cache holds of an actor, without asking anybody; undefined for nothing. For inspection. */
  cachedVersion(actor: Actor<ActorType<Events>>): number | undefined {
    return this.#context.cache.peek(actorSubject(this.#context.prefix, actor))?.version;
  }

  /** Position of the last commit that stands in the stream, by the leader; what was purged does not count. 0 for none. */
  async head(options: WaitOptions = {}): Promise<number> {
    this.#assertOpen();
    return await lastPosition(this.#context, this.#bounds(options));
  }

  /** The actors of a type (or of all), sorted by subject. The server lists them all for this: not for hot paths. */
  actors<Type extends ActorType<Events>>(
    options: ActorPage<Type> = {},
  ): AsyncIterableIterator<Actor<Type>> {
    this.#assertOpen();
    return ofType(listActors(this.#context, options));
  }

  /** All events of the stream, or of a type of actors, or of one actor, up to the head seen at the start. */
  readAll<Type extends ActorType<Events>>(
    options: StreamReadOptions<Type> = {},
  ): AsyncIterableIterator<RecordedEvent<Events, Type>> {
    this.#assertOpen();
    return ofType(this.#streamReader.events(options));
  }

  /** The same by commit: the fast path for readers that work on whole commits. */
  readCommits<Type extends ActorType<Events>>(
    options: StreamReadOptions<Type> = {},
  ): AsyncIterableIterator<Commit<Events, Type>> {
    this.#assertOpen();
    return ofType(this.#streamReader.commits(options));
  }

  /** Catches up, then follows: see {@link Subscription}. */
  subscribe<Type extends ActorType<Events>>(
    options: SubscribeOptions<Type> = {},
  ): Subscription<RecordedEvent<Events, Type>> {
    this.#assertOpen();
    return ofType(this.#streamReader.subscribe(options));
  }

  /** The same by commit. */
  subscribeCommits<Type extends ActorType<Events>>(
    options: SubscribeOptions<Type> = {},
  ): Subscription<Commit<Events, Type>> {
    this.#assertOpen();
    return ofType(this.#streamReader.subscribeCommits(options));
  }

  /**
   * Waits until the stream holds `position`: for what another process appended, whose position came along with a message.
   * From then on `readAll`, `readCommits`, `latestVersion`, and reads of the actor whose commit stands there show it,
   * also where replicas lag; reads of other actors may still be answered by a replica that is behind.
   *
   * @throws {ReadTimeoutError}
   */
  async waitFor(position: number, options: WaitOptions = {}): Promise<void> {
    this.#assertOpen();
    await waitForPosition(this.#context, position, this.#bounds(options));
  }

  /** How the store is, without asking anybody. */
  health(): StoreHealth {
    const { connection, stream, cache, condition } = this.#context;
    const { nc } = connection;
    return {
      connected: connection.connected,
      server: connection.connected ? nc.getServer() : undefined,
      serverVersion: nc.info?.version,
      stream,
      replicas: condition.replicas,
      settingsProblems: condition.problems,
      following: this.#follower?.following ?? false,
      appendsInFlight: this.#context.turns.size,
      cachedActors: cache.size,
    };
  }

  /**
   * Waits for running appends, ends subscriptions, makes reads of the stream that are not at their end fail with
   * `ClosedError`, and closes an own connection. Safe to call again; all calls end together.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #close(): Promise<void> {
    const { turns, guard, connection } = this.#context;
    return releaseAll([
      () => turns.close(),
      () => this.#streamReader.close(),
      () => this.#follower?.close(),
      () => guard.close(),
      () => connection.close(),
    ]);
  }

  #bounds({ timeoutMs, signal }: WaitOptions): ReadBounds {
    const { readTimeoutMs } = this.#context.limits;
    return {
      timeoutMs: timeoutMs === undefined ? readTimeoutMs : count("timeoutMs", timeoutMs, 1),
      signal,
    };
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new ClosedError("the store");
  }
}

/** The options of the NATS client among those of the store. */
function natsOptions<Events extends EventMap>(
  options: ConnectOptions<Events>,
): Parameters<typeof openConnection>[0] {
  const { stream: _stream, signal: _signal, ...rest } = options;
  return rest;
}

/** A read that was filtered by an actor's type gives that type's events: the filter is the proof. */
function ofType<T>(value: unknown): T {
  return value as T;
}
