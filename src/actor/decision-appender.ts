import { AppendTooLargeError } from "../errors.ts";
import { uniqueIds } from "../internal/unique-ids.ts";
import { type EncodedAppend, metadataOf, within } from "../store/append-input.ts";
import { MAX_BATCH_ACTORS } from "../store/batch-appender.ts";
import { madeUpId } from "../store/commit-id.ts";
import type { AnyEvent } from "../store/event.ts";
import type { StoreInternals } from "../store/internals.ts";
import { decodeBody, encodeBody } from "../store/payload.ts";
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
  sentBehind?: Head;
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
    now: number,
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
      behind: current,
    };
    if (alone) return this.#internals.appendEncoded(own, leftMs(call, now));
    return this.#appendAll(own, others, call, now);
  }

  /**
   * An append was stored: the actor's state goes on, unless what was known of it was given up meanwhile.
   *
   * @param how when it was sent, in which epoch of the actor, and whether it came of a command that may be repeated
   */
  advance(
    active: ActiveActor,
    current: ActorState,
    how: { readonly now: number; readonly epoch: number; readonly remember: boolean },
  ): void {
    if (active.epoch !== how.epoch) return;
    active.current = current;
    // before a snapshot is made of both
    if (how.remember) active.recent.add(current.commitId, current.position, active.subject);
    active.confirmedAt = how.now;
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
    const shapes = this.#internals.interpreter.shapes(actor, stored, firstVersion);
    if (shapes instanceof Promise) {
      return shapes.then((shaped) => {
        const events = evolving({ events: shaped, metadata, firstVersion });
        return { body, events, state: evolve(kind, actor, current.state, events, false), others };
      });
    }
    const events = evolving({ events: shapes, metadata, firstVersion });
    return { body, events, state: evolve(kind, actor, current.state, events, false), others };
  }

  async #appendAll(
    own: EncodedAppend,
    others: readonly PackedAppend[],
    call: Call,
    sentAt: number,
  ): Promise<AppendResult> {
    const { commitId, commitIdGiven, extraHeaders } = own;
    const rest = others.map((other) => ({
      ...other,
      commitId,
      commitIdGiven,
      extraHeaders,
      seal: (_payload: Uint8Array, _version: number, behind: Head) => {
        other.sentBehind = behind;
        return "";
      },
    }));
    const stored = await this.#internals.appendAllEncoded([own, ...rest], leftMs(call, sentAt));
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
    { actor, body, sentBehind }: PackedAppend,
    stored: AppendResult | undefined,
    sentAt: number,
    { deadline, timeoutMs }: Call,
  ): Promise<void> {
    const { prefix } = this.#internals.context;
    const other = this.#memory.find(actorSubject(prefix, actor));
    const current = other?.current;
    if (other === undefined || current === undefined || stored === undefined) return;
    const { position: known, commitId: knownId } = current;
    if (sentBehind?.sequence !== known || sentBehind.commitId !== knownId || other.isBusy) return;
    const { version, position, commitId } = stored;
    const { epoch } = other;
    try {
      void this.#memory.enter(other, deadline, timeoutMs, undefined);
    } catch {
      return;
    }
    try {
      const { state } = await this.#evolve(other, current, body, NO_OTHERS);
      const next = { state, version, position, commitId, storedAtMs: undefined };
      this.advance(other, next, { now: sentAt, epoch, remember: false });
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
}
