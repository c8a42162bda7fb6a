import { WaitingLine } from "../internal/waiting-line.ts";
import type { Actor } from "../store/subject.ts";
import type { AnyActorKind } from "./definition.ts";
import { RecentCommands } from "./recent-commands.ts";

/** The state of an actor behind one of its commits. Never changes; the next is another object. */
export interface ActorState {
  readonly state: unknown;
  /** 0 without events. */
  readonly version: number;
  /** Stream sequence of the actor's last commit; 0 for none. */
  readonly position: number;
  /** Of that commit; empty for none. */
  readonly commitId: string;
  /** When the server stored that commit, in milliseconds since 1970, where that is known. */
  readonly storedAtMs: number | undefined;
}

/**
 * An actor in memory: its state, and its mailbox. Who has the turn may change it; the others wait in line. Many of them
 * lie idle, so what only some need is made when they need it.
 */
export class ActiveActor {
  readonly kind: AnyActorKind;
  readonly actor: Actor;
  readonly subject: string;
  /** undefined until it is loaded, and where what was known must not be used any more. */
  current: ActorState | undefined;
  recent: RecentCommands;
  /** By `performance.now()`: the state was the actor's last at some time since then. */
  confirmedAt: number = Number.NEGATIVE_INFINITY;
  /** Whether the state may be old (an append is in doubt, or lost a race), so that the head is looked at before anything is decided. */
  inDoubt = false;
  /** By `performance.now()`: until then another host has asked for its turn. */
  yieldUntil = 0;
  /** By `performance.now()`. */
  usedAt = 0;
  /** Version of the last snapshot that was read or written. */
  snapshotVersion = 0;
  /** Commits since one was read, or handed over to be written. */
  commitsSince = 0;
  /** Whether a newer release has written the snapshot, which is not ours to replace. */
  keepsNewer = false;
  /** Whether the state cannot be written. */
  unfit = false;
  /** Counts how often what was known of it was given up. */
  epoch = 0;
  #busy = false;
  #line: WaitingLine | undefined;

  constructor(kind: AnyActorKind, actor: Actor, subject: string) {
    this.kind = kind;
    this.actor = { type: actor.type, id: actor.id };
    this.subject = subject;
    this.recent = new RecentCommands(kind.rememberedCommands);
  }

  get isBusy(): boolean {
    return this.#busy;
  }

  /** Those who wait for their turn. */
  get waiting(): number {
    return this.#line?.length ?? 0;
  }

  /** Takes the turn if nobody has it. */
  tryEnter(): boolean {
    if (this.#busy) return false;
    this.#busy = true;
    return true;
  }

  /** Waits for the turn, in the order of asking. */
  enter(signal: AbortSignal | undefined, deadline: number): Promise<void> {
    this.#line ??= new WaitingLine();
    return this.#line.wait(signal, deadline);
  }

  /** Hands the turn to the next in line. */
  leave(): void {
    if (this.#line?.callNext() === true) return;
    this.#busy = false;
    this.#line = undefined;
  }

  /** Turns away those whose time is over. */
  dismissLate(now: number, reason: unknown): void {
    this.#line?.dismissLate(now, reason);
  }

  /** What is known of it must not be used any more: it is read anew before it is asked. */
  forget(): void {
    this.current = undefined;
    this.recent = new RecentCommands(this.kind.rememberedCommands);
    this.inDoubt = false;
    this.snapshotVersion = 0;
    this.commitsSince = 0;
    this.keepsNewer = false;
    this.unfit = false;
    this.epoch++;
    this.confirmedAt = Number.NEGATIVE_INFINITY;
  }
}
