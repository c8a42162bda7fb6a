import { AppendTooLargeError, StreamRolledBackError } from "../errors.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import { type EncodedAppend, metadataOf, within } from "../store/append-input.ts";
import { MAX_BATCH_ACTORS } from "../store/batch-appender.ts";
import { madeUpId } from "../store/commit-id.ts";
import type { AnyEvent } from "../store/event.ts";
import type { StoreInternals } from "../store/internals.ts";
import { type DecodedEvent, decodeBody, encodeBody } from "../store/payload.ts";
import { type Actor, actorSubject } from "../store/subject.ts";
import type { Head } from "../store/version-cache.ts";
import type { AppendResult, CommitOptions } from "../store/writer.ts";
import type { ActiveActor, ActorState } from "./active-actor.ts";
import type { ActorMemory } from "./actor-memory.ts";
import { type Call, headersOf, leftMs } from "./call.ts";
import type { Decision } from "./decision.ts";
import type { DecidedAppend, Evolving } from "./definition.ts";
import { evolve, evolving } from "./fold.ts";
import { sharedId } from "./recent-commands.ts";

/** What a decision makes of its actor, before it is stored. */
export interface Prepared {
  /** The actor's events, packed. */
  readonly body: Uint8Array;
  /** The same as they are read again. */
  readonly events: readonly Evolving<AnyEvent>[];
  readonly state: unknown;
  /** Those of the other actors, packed. */
  readonly others: readonly PackedAppend[];
}

/** Another actor's part of a decision. */
interface PackedAppend
  extends Pick<EncodedAppend, "actor" | "body" | "eventCount" | "expectedVersion"> {
  /** What it was sent behind. */
  behind?: Head;
}

const NO_OTHERS: readonly PackedAppend[] = [];

/** Packs what was decided, and appends it: behind the very commit that the decision was taken on, or not at all. */
export class DecisionAppender {
  readonly #internals: StoreInternals;
  readonly #memory: ActorMemory;
  readonly #onAppended: (active: ActiveActor) => void;
  readonly #nextId = uniqueIds();

  /** @param onAppended told of each commit of an actor in memory */
  constructor(
    internals: StoreInternals,
    memory: ActorMemory,
    onAppended: (active: ActiveActor) => void,
  ) {
    this.#internals = internals;
    this.#memory = memory;
    this.#onAppended = onAppended;
  }

  /**
   * Packs the events, and evolves the state as reading them again would: an event that cannot be taken is not stored.
   *
   * @throws {EvolveFailedError}; what the store throws of events that cannot be stored
   */
  prepare(
    active: ActiveActor,
    current: ActorState,
    { events, appends }: Decision,
    call: Call,
  ): Prepared | Promise<Prepared> {
    const body = this.#pack(active.actor, events, call.options);
    if (appends.length === 0 && !(body instanceof Promise)) {
      return this.#evolve(active, current, body, NO_OTHERS);
    }
    return this.#prepareAll(active, current, body, appends, call);
  }

  /** @throws as `EventStore.append`, and {StreamRolledBackError} where the actor's commit is another one by now */
  append(
    active: ActiveActor,
    current: ActorState,
    { body, events, others }: Prepared,
    call: Call,
  ): Promise<AppendResult> {
    const { actor, subject } = active;
    const { commandId } = call;
    const alone = others.length === 0;
    const own: EncodedAppend = {
      actor,
      body,
      eventCount: events.length,
      expectedVersion: current.version,
      commitId: this.#commitId(commandId, alone ? undefined : subject),
      commitIdGiven: commandId !== undefined,
      extraHeaders: headersOf(call),
      seal: (_payload, _version, behind) => this.#assertBehind(current, behind),
    };
    if (alone) return this.#internals.appendEncoded(own, leftMs(call));
    return this.#appendAll(own, others, call);
  }

  /** The append was stored: the actor's state goes on, unless what was known of it was given up meanwhile. */
  advance(active: ActiveActor, current: ActorState, sentAt: number, epoch: number): void {
    if (active.epoch !== epoch) return;
    active.current = current;
    active.recent.add(current.commitId, current.position, active.subject);
    active.confirmedAt = sentAt;
    active.commitsSince++;
    this.#onAppended(active);
  }

  async #prepareAll(
    active: ActiveActor,
    current: ActorState,
    packing: Uint8Array | Promise<Uint8Array>,
    appends: readonly DecidedAppend[],
    { options }: Call,
  ): Promise<Prepared> {
    const actors = appends.length + 1;
    if (actors > MAX_BATCH_ACTORS) {
      throw new AppendTooLargeError("the decision", actors, MAX_BATCH_ACTORS, "actors");
    }
    const body = await packing;
    const others: PackedAppend[] = [];
    for (const [at, { actor, events, expectedVersion = "any" }] of appends.entries()) {
      const pack = async (): Promise<Uint8Array> => await this.#pack(actor, events, options);
      const packed = await within(`appends[${at}]`, pack);
      others.push({ actor, body: packed, eventCount: events.length, expectedVersion });
    }
    return await this.#evolve(active, current, body, others);
  }

  #pack(
    { type }: Actor,
    events: readonly AnyEvent[],
    options: CommitOptions,
  ): Uint8Array | Promise<Uint8Array> {
    const checked = this.#internals.interpreter.validateNew(type, events);
    return checked instanceof Promise
      ? checked.then((valid) => encodeBody(valid, metadataOf(options)))
      : encodeBody(checked, metadataOf(options));
  }

  #evolve(
    { kind, actor }: ActiveActor,
    current: ActorState,
    body: Uint8Array,
    others: readonly PackedAppend[],
  ): Prepared | Promise<Prepared> {
    const { events: stored, metadata } = decodeBody(body);
    const firstVersion = current.version + 1;
    const finish = (shaped: readonly DecodedEvent[]): Prepared => {
      const events = evolving({ events: shaped, metadata, firstVersion });
      const state = evolve(kind, actor, current.state, events, false);
      return { body, events, state, others };
    };
    const shapes = this.#internals.interpreter.shapes(actor, stored, firstVersion);
    return shapes instanceof Promise ? shapes.then(finish) : finish(shapes);
  }

  async #appendAll(
    own: EncodedAppend,
    others: readonly PackedAppend[],
    call: Call,
  ): Promise<AppendResult> {
    const { commitId, commitIdGiven, extraHeaders } = own;
    const rest = others.map((other) => ({
      ...other,
      commitId,
      commitIdGiven,
      extraHeaders,
      seal: (_payload: Uint8Array, _version: number, behind: Head) => {
        other.behind = behind;
        return "";
      },
    }));
    const sentAt = performance.now();
    const stored = await this.#internals.appendAllEncoded([own, ...rest], leftMs(call));
    const [result, ...results] = stored;
    if (result === undefined) throw new TypeError("an appendAll without a result");
    if (!result.replayed) {
      for (const [at, other] of others.entries()) {
        void this.#passOn(other, results[at], sentAt, call);
      }
    }
    return result;
  }

  /** Another actor's part of a decision was stored: where it lies idle in memory, its state goes on. */
  async #passOn(
    { actor, body, behind }: PackedAppend,
    stored: AppendResult | undefined,
    sentAt: number,
    { deadline, timeoutMs }: Call,
  ): Promise<void> {
    const { prefix } = this.#internals.context;
    const other = this.#memory.find(actorSubject(prefix, actor));
    const current = other?.current;
    if (other === undefined || current === undefined || stored === undefined) return;
    const isBehind = behind?.sequence === current.position && behind.commitId === current.commitId;
    if (!isBehind || other.isBusy) return;
    const { version, position, commitId } = stored;
    const { epoch } = other;
    try {
      void this.#memory.enter(other, deadline, timeoutMs, undefined);
    } catch {
      return;
    }
    try {
      const { state } = await this.#evolve(other, current, body, NO_OTHERS);
      this.advance(
        other,
        { state, version, position, commitId, storedAtMs: undefined },
        sentAt,
        epoch,
      );
    } catch {
      // it is read when it is asked next: the cache knows that there is more
    } finally {
      this.#memory.leave(other, performance.now());
    }
  }

  /** The id of the command, with what tells who decided it where it is of several actors; else one that nobody repeats. */
  #commitId(commandId: string | undefined, shared: string | undefined): string {
    if (commandId === undefined) return madeUpId(this.#nextId());
    return shared === undefined ? commandId : sharedId(commandId, shared);
  }

  /** A version alone does not tell a stream from one that was restored or made anew. */
  #assertBehind({ commitId, position }: ActorState, behind: Head): string {
    if (behind.sequence === position && behind.commitId === commitId) return "";
    const { stream } = this.#internals.context;
    throw new StreamRolledBackError(stream, position, commitId || "no commit", behind.commitId);
  }
}
