import { OverloadedError } from "../errors.ts";
import { LruMap } from "../internal/lru-map.ts";
import type { Actor } from "../store/subject.ts";
import { ActiveActor } from "./active-actor.ts";
import type { AnyActorKind } from "./definition.ts";
import { CommandTimeoutError } from "./errors.ts";
import type { HostSettings } from "./options.ts";

/** How often those who wait are compared with the clock: one timer for all. */
const SWEEP_MS = 25;
/** How often idle actors are looked for, at least. */
const IDLE_CHECK_MS = 1_000;
/** Actors that leave at once: the event loop has other work too. */
const LEAVE_AT_ONCE = 2_000;
/** Busy actors that are passed over in search of one that may leave. */
const PASSED_OVER = 64;
const LATE = Symbol("late");

/**
 * The actors in memory, and who waits in their mailboxes. Those that lie idle leave, and those that were used longest
 * ago where there are too many.
 */
export class ActorMemory {
  readonly #actors = new LruMap<string, ActiveActor>(Number.POSITIVE_INFINITY);
  readonly #settings: HostSettings;
  /** Told of each actor that leaves. */
  readonly #onLeave: (active: ActiveActor) => void;
  readonly #idleTimer: NodeJS.Timeout;
  /** Actors in whose mailboxes somebody waits. */
  readonly #crowded = new Set<ActiveActor>();
  #lateTimer: NodeJS.Timeout | undefined;
  #waiting = 0;
  #running = 0;
  #idle: (() => void) | undefined;

  constructor(settings: HostSettings, onLeave: (active: ActiveActor) => void) {
    this.#settings = settings;
    this.#onLeave = onLeave;
    const checkMs = Math.max(10, Math.min(IDLE_CHECK_MS, settings.idleMs / 4));
    this.#idleTimer = setInterval(() => this.#dismissIdle(), checkMs);
    this.#idleTimer.unref();
  }

  /** Actors in memory. */
  get size(): number {
    return this.#actors.size;
  }

  /** Commands that wait for their turn. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Commands that have their turn. */
  get running(): number {
    return this.#running;
  }

  /** The actor, made where it is not in memory. */
  obtain(kind: AnyActorKind, actor: Actor, subject: string): ActiveActor {
    const known = this.#actors.get(subject);
    if (known !== undefined) return known;
    if (this.#actors.size >= this.#settings.maxActors) this.#makeRoom();
    const active = new ActiveActor(kind, actor, subject);
    this.#actors.set(subject, active);
    return active;
  }

  /** The actor, if it is in memory. */
  peek(subject: string): ActiveActor | undefined {
    return this.#actors.peek(subject);
  }

  /** The actor, if it is in memory; this counts as a use. */
  find(subject: string): ActiveActor | undefined {
    return this.#actors.get(subject);
  }

  /**
   * Takes the actor's turn, or waits for it.
   *
   * @param deadline by `performance.now()`
   * @throws {OverloadedError} too many wait; {CommandTimeoutError}; the signal's reason
   */
  enter(
    active: ActiveActor,
    deadline: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> | undefined {
    const { maxCommands } = this.#settings;
    if (this.#running + this.#waiting >= maxCommands) {
      throw new OverloadedError("maxCommands", maxCommands);
    }
    if (!active.tryEnter()) return this.#wait(active, deadline, timeoutMs, signal);
    this.#running++;
    return undefined;
  }

  /** Gives the turn back, and ends the command. */
  leave(active: ActiveActor, now: number): void {
    this.pass(active, now);
    this.end();
  }

  /** Gives the turn back; the command goes on without it, until it is ended. */
  pass(active: ActiveActor, now: number): void {
    active.usedAt = now;
    active.leave();
  }

  /** Counts a command no more. */
  end(): void {
    this.#running--;
    if (this.#idle !== undefined && this.#running === 0 && this.#waiting === 0) this.#idle();
  }

  /** Of an actor that has nothing, there is nothing to remember. */
  drop(active: ActiveActor): void {
    if (!active.isBusy && this.peek(active.subject) === active) this.#actors.delete(active.subject);
  }

  /** All actors, the one used longest ago first. */
  *all(): Generator<ActiveActor, void, undefined> {
    for (const [, active] of this.#actors.entries()) yield active;
  }

  /** Resolves when no command runs or waits any more. */
  async drain(): Promise<void> {
    clearInterval(this.#idleTimer);
    if (this.#running + this.#waiting === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  /** Ends what is left of it. */
  clear(): void {
    clearInterval(this.#idleTimer);
    clearInterval(this.#lateTimer);
    for (const active of this.all()) this.#actors.delete(active.subject);
  }

  async #wait(
    active: ActiveActor,
    deadline: number,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { maxMailbox } = this.#settings;
    if (active.waiting >= maxMailbox) throw new OverloadedError("maxMailbox", maxMailbox);
    this.#waiting++;
    this.#crowded.add(active);
    this.#lateTimer ??= setInterval(() => this.#dismissLate(), SWEEP_MS);
    try {
      await active.enter(signal, deadline);
      this.#running++;
    } catch (error) {
      throw error === LATE ? new CommandTimeoutError(active.actor, timeoutMs) : error;
    } finally {
      this.#waiting--;
      if (this.#idle !== undefined && this.#running + this.#waiting === 0) this.#idle();
    }
  }

  #dismissLate(): void {
    const now = performance.now();
    for (const active of this.#crowded) {
      active.dismissLate(now, LATE);
      if (active.waiting === 0) this.#crowded.delete(active);
    }
    if (this.#crowded.size > 0) return;
    clearInterval(this.#lateTimer);
    this.#lateTimer = undefined;
  }

  #dismissIdle(): void {
    const { idleMs, maxActors } = this.#settings;
    const before = performance.now() - idleMs;
    let left = LEAVE_AT_ONCE;
    for (const active of this.all()) {
      if (active.isBusy) continue;
      // a burst may have found all of them busy
      const isCrowded = this.#actors.size > maxActors;
      if ((active.usedAt > before && !isCrowded) || left-- === 0) return;
      this.#dismiss(active);
    }
  }

  /** Of those that were used longest ago, the first that nobody uses now. */
  #makeRoom(): void {
    let passed = 0;
    for (const active of this.all()) {
      if (!active.isBusy) {
        this.#dismiss(active);
        return;
      }
      if (++passed === PASSED_OVER) return;
    }
  }

  #dismiss(active: ActiveActor): void {
    this.#actors.delete(active.subject);
    this.#onLeave(active);
  }
}
