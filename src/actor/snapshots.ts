import { within } from "../internal/within.ts";
import { endOfValue } from "../internal/msgpack-bounds.ts";
import { Bucket, type BucketEntry } from "../nats/bucket.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { PublishOutcome } from "../nats/publish.ts";
import type { StoreInternals } from "../store/internals.ts";
import { bigintExtension, pack, unpack } from "../store/packing.ts";
import { maxDepth, serialisable } from "../store/serialisable.ts";
import type { Actor } from "../store/subject.ts";
import type { ActiveActor, ActorState } from "./active-actor.ts";
import { type AnyActorKind, SNAPSHOT_EVERY } from "./definition.ts";
import { type ActorSnapshotMessage, actorChannels } from "./diagnostics.ts";
import { frozen } from "./fold.ts";

/** An actor's state as it was written, and which commands it remembers. */
interface ActorSnapshot {
  readonly current: ActorState;
  readonly recent: readonly number[];
}

/** What stands in the bucket: nothing to begin with, what a newer release wrote, or a snapshot. */
export type FoundSnapshot = ActorSnapshot | "none" | "newer";

interface Offer {
  readonly active: ActiveActor;
  /** Of the guard of the stream, when it was offered: since a rollback the state may be of another history. */
  readonly epoch: number;
  readonly current: ActorState;
  readonly recent: readonly number[];
}

/** The format number this version writes, and the only one it reads (docs/wire-format.md). */
const FORMAT = 1;
/** Levels of a snapshot above the state. */
const DEPTH = 1;
/** Snapshots on their way at once. */
const WRITTEN_AT_ONCE = 32;
/** Snapshots that wait; beyond that they are dropped: a cold load takes longer then, and nothing is lost. */
const MAX_WAITING = 20_000;
/** A load that waits longer for its snapshot begins at the start of the stream. */
const READ_MS = 1_000;
const WRITE_MS = 5_000;
const OPEN_MS = 5_000;
/** How long a bucket that does not answer is left alone. */
const REST_MS = 5_000;
/** A state that is too large is tried again after so many times as many commits. */
const TOO_LARGE_FACTOR = 9;
/** What is not written then is dropped. */
const CLOSE_MS = 10_000;

/**
 * Snapshots of actors in a KV bucket, one entry an actor. They only save time: what hinders them is told on the channel
 * `annal:actor:snapshot`, and is no error. A bucket that somebody removed is made anew.
 */
export class ActorSnapshots {
  readonly #internals: StoreInternals;
  readonly #name: string;
  /** By key: only the latest of an actor is written. */
  readonly #waiting = new Map<string, Offer>();
  #bucket: Bucket | undefined;
  #opening: Promise<void> | undefined;
  #restUntil = 0;
  #writers = 0;
  #closing = false;
  #idle: (() => void) | undefined;

  private constructor(internals: StoreInternals, name: string, bucket: Bucket) {
    this.#internals = internals;
    this.#name = name;
    this.#bucket = bucket;
  }

  /** @throws what keeps the bucket from being opened, as `Bucket.open` */
  static async open(
    internals: StoreInternals,
    name: string,
    signal: AbortSignal | undefined,
  ): Promise<ActorSnapshots> {
    return new ActorSnapshots(internals, name, await openBucket(internals, name, signal));
  }

  /** Snapshots that wait or are on their way. */
  get size(): number {
    return this.#waiting.size + this.#writers;
  }

  /** The actor's snapshot, if it can be read, soon. Whether its commit still stands is for the caller to find out. */
  async read(
    kind: AnyActorKind,
    actor: Actor,
    subject: string,
    { timeoutMs, deadline }: ReadBounds,
  ): Promise<FoundSnapshot> {
    const bucket = kind.snapshot === undefined ? undefined : this.#usable();
    if (bucket === undefined) return "none";
    const startedAt = performance.now();
    try {
      // a bucket that hangs must leave time to read the stream
      const bounds = { timeoutMs: Math.ceil(Math.min(READ_MS, timeoutMs / 4)), deadline };
      const entry = await this.#get(bucket, subject, bounds);
      if (entry === undefined || entry.deleted) return "none";
      const found = parse(kind, entry.data);
      if ("current" in found) return found;
      this.tellRead(actor, undefined, startedAt, found.reason);
      return found.isNewer ? "newer" : "none";
    } catch (error) {
      this.tellRead(actor, undefined, startedAt, reasonOf(error));
      return "none";
    }
  }

  /** Says that a snapshot was used, or why not. */
  tellRead(
    actor: Actor,
    version: number | undefined,
    startedAt: number,
    reason: string | undefined,
  ): void {
    const what = reason === undefined ? "restored" : "ignored";
    this.#tell(actor, what, startedAt, { version, reason });
  }

  /** Has the actor's state written, some time soon. */
  offer(active: ActiveActor): void {
    const { kind, actor, subject, current, recent } = active;
    if (kind.snapshot === undefined || current === undefined) return;
    const key = this.#keyOf(subject);
    if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(key)) {
      const reason = `${MAX_WAITING} snapshots wait already`;
      this.#tell(actor, "dropped", performance.now(), { version: current.version, reason });
      return;
    }
    const { epoch } = this.#internals.context.guard;
    this.#waiting.set(key, { active, current, epoch, recent: recent.toData() });
    if (this.#writers < WRITTEN_AT_ONCE) void this.#write();
  }

  /** Resolves when the last of these, and all that was offered before, are written, or were dropped: after a while, all are. */
  async close(last: Iterable<ActiveActor>): Promise<void> {
    const deadline = performance.now() + CLOSE_MS;
    for (const active of last) {
      while (this.#waiting.size >= MAX_WAITING && performance.now() < deadline) {
        await new Promise(setImmediate);
      }
      this.offer(active);
    }
    this.#closing = true;
    const idle = new Promise<void>((resolve) => (this.#idle = resolve));
    if (this.size > 0) await within(idle, Math.max(1, deadline - performance.now()));
    for (const [key, { active, current }] of this.#waiting) {
      const reason = "the host closes";
      this.#waiting.delete(key);
      this.#tell(active.actor, "dropped", performance.now(), { version: current.version, reason });
    }
  }

  async #write(): Promise<void> {
    this.#writers++;
    // what is packed now would keep the command waiting that made it
    await new Promise(setImmediate);
    for (;;) {
      const next = this.#waiting.entries().next();
      if (next.done === true) break;
      const [key, offer] = next.value;
      this.#waiting.delete(key);
      await this.#put(key, offer);
    }
    this.#writers--;
    if (this.size === 0) this.#idle?.();
  }

  async #put(key: string, { active, current, epoch, recent }: Offer): Promise<void> {
    const { kind, actor, subject } = active;
    const { epoch: known } = active;
    const { version } = current;
    const startedAt = performance.now();
    let bytes = 0;
    try {
      const bucket = this.#usable();
      if (bucket === undefined) throw new Error(`bucket ${this.#name} does not answer`);
      const storedAtMs = current.storedAtMs ?? (await this.#standing(subject, current));
      // what cannot be encoded now could not be the next time either
      active.unfit = true;
      const data = format(kind, { ...current, storedAtMs }, recent);
      active.unfit = false;
      bytes = data.length;
      const limit = bucket.maxEntryBytes;
      if (bytes > limit) {
        active.commitsSince = -TOO_LARGE_FACTOR * (kind.snapshot?.every ?? SNAPSHOT_EVERY);
        throw new RangeError(`it has ${bytes} bytes, the limit is ${limit}`);
      }
      const { guard } = this.#internals.context;
      if (guard.checking !== undefined || guard.epoch !== epoch) {
        throw new Error("the stream may be another one by now");
      }
      await this.#store(bucket, key, data);
      if (active.epoch === known) {
        active.snapshotVersion = Math.max(active.snapshotVersion, version);
      }
      this.#tell(actor, "written", startedAt, { version, bytes });
    } catch (error) {
      this.#tell(actor, "dropped", startedAt, { version, bytes, reason: reasonOf(error) });
    }
  }

  async #store(bucket: Bucket, key: string, data: Uint8Array): Promise<void> {
    let outcome: PublishOutcome;
    try {
      outcome = await bucket.put({ key, data }, undefined, WRITE_MS);
    } catch (error) {
      this.#rest();
      throw error;
    }
    if (outcome.kind === "stored") return;
    if (outcome.kind === "refused") throw new Error(outcome.description);
    this.#rest();
    throw new Error("no answer");
  }

  /** When the commit that the state stands behind was stored: by that, and its id, it is recognised. */
  async #standing(subject: string, { position, commitId }: ActorState): Promise<number> {
    const bounds = { timeoutMs: WRITE_MS };
    const commit = await this.#internals.history.bySequence(subject, position, bounds);
    if (commit?.commitId !== commitId) throw new Error("its commit does not stand in the stream");
    return commit.message.timestampMs;
  }

  async #get(
    bucket: Bucket,
    subject: string,
    bounds: ReadBounds,
  ): Promise<BucketEntry | undefined> {
    try {
      return await bucket.get(this.#keyOf(subject), bounds);
    } catch (error) {
      // who has no time to wait says nothing of the bucket
      if (bounds.timeoutMs >= READ_MS) this.#rest();
      throw error;
    }
  }

  /** The bucket, if it answers as far as is known; one that did not is opened again after a while. */
  #usable(): Bucket | undefined {
    if (this.#bucket !== undefined) return this.#bucket;
    if (this.#opening === undefined && performance.now() >= this.#restUntil && !this.#closing) {
      this.#opening = openBucket(this.#internals, this.#name, undefined)
        .then(
          (bucket) => {
            this.#bucket = bucket;
          },
          () => this.#rest(),
        )
        .finally(() => {
          this.#opening = undefined;
        });
    }
    return undefined;
  }

  #rest(): void {
    this.#bucket = undefined;
    this.#restUntil = performance.now() + REST_MS;
  }

  /** `<type>.<escaped id>`. */
  #keyOf(subject: string): string {
    return subject.slice(this.#internals.context.prefix.length + 1);
  }

  #tell(
    actor: Actor,
    what: ActorSnapshotMessage["what"],
    startedAt: number,
    of: Pick<ActorSnapshotMessage, "version"> & Partial<ActorSnapshotMessage>,
  ): void {
    if (!actorChannels.snapshot.hasSubscribers) return;
    const { version, bytes = 0, reason } = of;
    const durationMs = performance.now() - startedAt;
    const { stream } = this.#internals.context;
    actorChannels.snapshot.publish({ stream, actor, what, version, bytes, durationMs, reason });
  }
}

function openBucket(
  { context }: StoreInternals,
  name: string,
  signal: AbortSignal | undefined,
): Promise<Bucket> {
  const { connection, apiPrefix, inboxPrefix } = context;
  const newReplicas = context.replicas();
  const access = { apiPrefix, inboxPrefix, timeoutMs: OPEN_MS, signal };
  return Bucket.open(connection, { name, newReplicas, maxReadsInFlight: 1_024, ...access });
}

function format(kind: AnyActorKind, current: ActorState, recent: readonly number[]): Uint8Array {
  const { state, version, position, commitId, storedAtMs } = current;
  const { snapshot } = kind;
  const data = snapshot?.encode === undefined ? state : snapshot.encode(state);
  const place = [version, position, commitId, storedAtMs];
  const fields = [FORMAT, snapshot?.version ?? 0, ...place, recent];
  return pack([...fields, serialisable(data, "data", undefined)]);
}

/** A snapshot, or why it is of no use, and whether a newer release has written it. */
function parse(
  kind: AnyActorKind,
  data: Uint8Array,
): ActorSnapshot | { readonly reason: string; readonly isNewer: boolean } {
  const none = { reason: "it is no snapshot", isNewer: false };
  const end = endOfValue(data, 0, maxDepth + DEPTH, bigintExtension);
  const fields: unknown = end === data.length ? unpack(data, 0, end) : undefined;
  if (!Array.isArray(fields)) return none;
  const [format, schema, version, position, commitId, storedAtMs, recent, state]: unknown[] =
    fields;
  if (isCount(format) && format > FORMAT) {
    return { reason: `a newer format, ${format}`, isNewer: true };
  }
  if (format !== FORMAT || !isCount(schema)) return none;
  const { snapshot } = kind;
  if (schema !== snapshot?.version) {
    const isNewer = schema > (snapshot?.version ?? 0);
    return { reason: `${isNewer ? "a newer" : "an older"} version, ${schema}`, isNewer };
  }
  const isPlace = isCount(version) && isCount(position) && isCount(storedAtMs);
  if (!isPlace || typeof commitId !== "string" || !isCounts(recent)) return none;
  const decoded = snapshot.decode === undefined ? state : snapshot.decode(state);
  const current = { state: frozen(decoded), version, position, commitId, storedAtMs };
  return { current, recent };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length % 2 === 0 && value.every(isCount);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
