import { InvalidArgumentError } from "../errors.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { StoredCommit } from "../store/commit.ts";
import type { StoreInternals } from "../store/internals.ts";
import type { Actor } from "../store/subject.ts";
import type { ActiveActor, ActorState } from "./active-actor.ts";
import type { AnyActorKind } from "./definition.ts";
import { actorChannels, type LoadMessage } from "./diagnostics.ts";
import { EvolveFailedError } from "./errors.ts";
import { evolve, evolving } from "./fold.ts";
import { RecentCommands } from "./recent-commands.ts";
import type { ActorSnapshots } from "./snapshots.ts";

/** Which earlier state: behind an event, or as it was at a time. */
export type Past = { readonly version: number } | { readonly at: Date };

/** What commits are folded into. */
interface Folding {
  readonly kind: AnyActorKind;
  readonly actor: Actor;
  readonly from: ActorState;
  /** Told of each commit. */
  readonly recent?: RecentCommands;
  readonly until?: Past;
}

interface Folded {
  readonly current: ActorState;
  readonly commits: number;
}

/** The commits do not follow what they were to follow: the stream is another one than it was. */
const BROKEN = "broken";

/** Makes actors' states of their snapshots and commits. Nobody else works on an actor that is loaded or caught up. */
export class Loader {
  readonly #internals: StoreInternals;
  readonly #snapshots: ActorSnapshots | undefined;

  constructor(internals: StoreInternals, snapshots: ActorSnapshots | undefined) {
    this.#internals = internals;
    this.#snapshots = snapshots;
  }

  /**
   * Reads the state of an actor that is not known.
   *
   * @throws {EvolveFailedError} a stored event cannot be taken; what the store's reads throw
   */
  load(active: ActiveActor, bounds: ReadBounds): Promise<ActorState> {
    return this.#traced(active.actor, "cold", (told) => this.#load(active, bounds, told));
  }

  /**
   * Looks at the actor's head, and reads what others have appended. Where the stream no longer shows what is known, all
   * of it is read anew.
   *
   * @returns whether anything has changed
   */
  async catchUp(active: ActiveActor, bounds: ReadBounds): Promise<boolean> {
    const { current, subject } = active;
    if (current === undefined) {
      await this.load(active, bounds);
      return true;
    }
    const askedAt = performance.now();
    const head = await this.#internals.history.head(subject, bounds, "leader");
    if ((head?.message.sequence ?? 0) === current.position && isAt(current, head)) {
      active.confirmedAt = askedAt;
      active.inDoubt = false;
      return false;
    }
    await this.#traced(active.actor, "catch_up", async (told) => {
      const caughtUp = await this.#behind(active, current, head, bounds, told);
      if (typeof caughtUp === "string") {
        active.forget();
        return await this.#load(active, bounds, told);
      }
      active.current = caughtUp.current;
      active.commitsSince += caughtUp.commits;
      active.confirmedAt = askedAt;
      active.inDoubt = false;
      return caughtUp.current;
    });
    return true;
  }

  /**
   * An earlier state, made of the stream alone.
   *
   * @throws {InvalidArgumentError} of a version that the actor has not reached
   */
  past(
    kind: AnyActorKind,
    actor: Actor,
    subject: string,
    until: Past,
    bounds: ReadBounds,
  ): Promise<ActorState> {
    return this.#traced(actor, "past", async (told) => {
      const { history } = this.#internals;
      const head = await history.head(subject, bounds, "leader");
      const toVersion = "version" in until ? until.version : Number.MAX_SAFE_INTEGER;
      const version = head?.version ?? 0;
      if ("version" in until && toVersion > version) {
        throw new InvalidArgumentError("version", `at most the actor's, ${version}`, toVersion);
      }
      const range = { fromVersion: 1, toVersion };
      const from = beginning(kind);
      if (head === undefined) return from;
      const commits = history.commits(subject, range, bounds, head);
      const folded = await this.#fold({ kind, actor, from, until }, commits);
      told.commits = folded.commits;
      return folded.current;
    });
  }

  async #load(active: ActiveActor, bounds: ReadBounds, told: LoadMessage): Promise<ActorState> {
    const { kind, actor, subject } = active;
    const askedAt = performance.now();
    const [found, head] = await Promise.all([
      this.#snapshots?.read(kind, actor, subject) ?? "none",
      this.#internals.history.head(subject, bounds, "leader"),
    ]);
    const snapshot = typeof found === "object" ? found : undefined;
    let commits = 0;
    let current: ActorState | undefined;
    if (snapshot !== undefined) {
      active.recent = new RecentCommands(kind.rememberedCommands, snapshot.recent);
      const restored = await this.#behind(active, snapshot.current, head, bounds, told);
      const reason = typeof restored === "string" ? restored : undefined;
      this.#snapshots?.tellRead(actor, snapshot.current.version, askedAt, reason);
      if (typeof restored === "object") ({ current, commits } = restored);
    }
    const snapshotVersion = current === undefined ? 0 : (snapshot?.current.version ?? 0);
    if (current === undefined) {
      active.recent = new RecentCommands(kind.rememberedCommands);
      const folded = await this.#tail(active, beginning(kind), head, bounds, told);
      if (folded === BROKEN) throw new TypeError(`${subject} has no beginning`);
      ({ current, commits } = folded);
    }
    active.current = current;
    active.snapshotVersion = snapshotVersion;
    active.commitsSince = commits;
    active.keepsSnapshot = found === "newer";
    active.confirmedAt = askedAt;
    active.inDoubt = false;
    told.snapshotVersion = snapshotVersion;
    return current;
  }

  /** The state that goes on from what was known; why not, where that cannot be used. */
  async #behind(
    active: ActiveActor,
    current: ActorState,
    head: StoredCommit | undefined,
    bounds: ReadBounds,
    told: LoadMessage,
  ): Promise<Folded | string> {
    try {
      const folded = await this.#tail(active, current, head, bounds, told);
      return folded === BROKEN ? "its commit does not stand in the stream" : folded;
    } catch (error) {
      // the state may be of another shape than its version says: what the stream holds decides
      if (error instanceof EvolveFailedError) return error.message;
      throw error;
    }
  }

  /** The state after the commits behind `from` up to the head, whether `from` itself stands in the stream or not. */
  async #tail(
    active: ActiveActor,
    from: ActorState,
    head: StoredCommit | undefined,
    bounds: ReadBounds,
    told: LoadMessage,
  ): Promise<Folded | typeof BROKEN> {
    const { kind, actor, subject } = active;
    if (head === undefined) return from.version === 0 ? { current: from, commits: 0 } : BROKEN;
    if (isAt(from, head)) return { current: from, commits: 0 };
    if (head.version <= from.version) return BROKEN;
    const range = { fromVersion: from.version + 1 };
    const commits = this.#internals.history.commits(subject, range, bounds, head);
    const standing = this.#stands(subject, from, bounds);
    standing.catch(() => {});
    // a tail that is not read to its end is read again: its commands are not to be remembered twice
    const recent = active.recent.copy();
    try {
      const folded = await this.#fold({ kind, actor, from, recent }, commits);
      told.commits = folded.commits;
      if (!(await standing)) return BROKEN;
      active.recent = recent;
      return folded;
    } catch (error) {
      // what does not go together need not be damaged
      if (!(await standing)) return BROKEN;
      throw error;
    }
  }

  /** Whether the commit behind which the state is stands where it stood. */
  async #stands(
    subject: string,
    { position, commitId }: ActorState,
    bounds: ReadBounds,
  ): Promise<boolean> {
    if (position === 0) return true;
    const found = await this.#internals.history.bySequence(subject, position, bounds);
    return found?.commitId === commitId;
  }

  async #fold(
    { kind, actor, from, recent, until }: Folding,
    commits: AsyncIterable<StoredCommit>,
  ): Promise<Folded> {
    const { interpreter } = this.#internals;
    let current = from;
    let count = 0;
    for await (const { payload, firstVersion, version, message, commitId } of commits) {
      if (until !== undefined && "at" in until && message.timestampMs > until.at.getTime()) break;
      const shapes = interpreter.shapes(actor, payload.events, firstVersion);
      const shaped = shapes instanceof Promise ? await shapes : shapes;
      const last = until !== undefined && "version" in until ? until.version : version;
      const events = last < version ? shaped.slice(0, last - firstVersion + 1) : shaped;
      const { metadata } = payload;
      const taken = evolving({ events, metadata, firstVersion });
      const state = evolve(kind, actor, current.state, taken, true);
      const position = message.sequence;
      current = { state, version: Math.min(last, version), position, commitId };
      recent?.add(commitId, position);
      count++;
    }
    return { current, commits: count };
  }

  async #traced(
    actor: Actor,
    why: LoadMessage["why"],
    work: (told: LoadMessage) => Promise<ActorState>,
  ): Promise<ActorState> {
    const { stream } = this.#internals.context;
    const told: LoadMessage = { stream, actor, why, snapshotVersion: 0, commits: 0 };
    if (!actorChannels.load.hasSubscribers) return await work(told);
    return await actorChannels.load.promise(async () => {
      const current = await work(told);
      told.version = current.version;
      return current;
    }, told);
  }
}

/** The state of an actor without events. */
function beginning({ initialState }: AnyActorKind): ActorState {
  return { state: initialState, version: 0, position: 0, commitId: "" };
}

function isAt({ position, commitId }: ActorState, head: StoredCommit | undefined): boolean {
  if (head === undefined) return position === 0;
  return head.message.sequence === position && head.commitId === commitId;
}
