import { InvalidArgumentError, StreamRolledBackError } from "../errors.ts";
import { Slots } from "../internal/slots.ts";
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

/** An actor, and which commands it remembers. */
type Remembering = Pick<ActiveActor, "kind" | "actor" | "subject" | "recent">;

/** What commits are folded into. `recent` is told of each of them. */
interface Folding extends Remembering {
  readonly from: ActorState;
  readonly until?: Past;
}

interface Folded {
  readonly current: ActorState;
  readonly recent: RecentCommands;
  readonly commits: number;
}

/** Earlier states that are read at once. */
const PAST_AT_ONCE = 16;
/** The commits do not follow what they were to follow: the stream is another one than it was. */
const BROKEN = "broken";

/** Makes actors' states of their snapshots and commits. Nobody else works on an actor that is loaded or caught up. */
export class Loader {
  readonly #internals: StoreInternals;
  readonly #snapshots: ActorSnapshots | undefined;
  readonly #slots = new Slots(PAST_AT_ONCE);

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
   * of it is read anew. Where what is known is given up meanwhile, nothing is known then.
   *
   * @returns whether anything has changed
   */
  async catchUp(active: ActiveActor, bounds: ReadBounds): Promise<boolean> {
    const { current, subject, epoch } = active;
    if (current === undefined) {
      await this.load(active, bounds);
      return true;
    }
    const askedAt = performance.now();
    const head = await this.#headNow(subject, bounds);
    if (head === "rolled back") {
      active.forget();
      await this.load(active, bounds);
      return true;
    }
    if (active.epoch === epoch && isAt(current, head)) {
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
      if (active.epoch === epoch) {
        active.current = caughtUp.current;
        active.recent = caughtUp.recent;
        active.commitsSince += caughtUp.commits;
        active.confirmedAt = askedAt;
        active.inDoubt = false;
      }
      return caughtUp.current;
    });
    return true;
  }

  /** The actor's last commit; where the store is told that what it knew is gone, that was told once: it asks anew. */
  async #headNow(
    subject: string,
    bounds: ReadBounds,
  ): Promise<StoredCommit | undefined | "rolled back"> {
    try {
      return await this.#internals.history.head(subject, bounds, "leader");
    } catch (error) {
      if (error instanceof StreamRolledBackError) return "rolled back";
      throw error;
    }
  }

  /**
   * An earlier state, from the snapshot on where that is early enough.
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
    return this.#slowly(actor, async (told) => {
      const { history } = this.#internals;
      const [found, head] = await Promise.all([
        this.#snapshots?.read(kind, actor, subject, bounds) ?? "none",
        history.head(subject, bounds, "leader"),
      ]);
      const version = head?.version ?? 0;
      const toVersion = "version" in until ? until.version : version;
      if (toVersion > version) {
        throw new InvalidArgumentError("version", `at most the actor's, ${version}`, toVersion);
      }
      if (head === undefined || toVersion === 0) return beginning(kind);
      const read = async (from: ActorState): Promise<ActorState> => {
        const range = { fromVersion: from.version + 1, toVersion };
        const commits = history.commits(subject, range, bounds, head);
        const recent = new RecentCommands(0);
        const folded = await this.#fold({ kind, actor, subject, from, recent, until }, commits);
        told.snapshotVersion = from.version;
        told.commits = folded.commits;
        return folded.current;
      };
      const from = typeof found === "object" ? found.current : undefined;
      if (from === undefined || !isEarly(from, until)) return await read(beginning(kind));
      if (!(await this.#stands(subject, from, bounds))) return await read(beginning(kind));
      try {
        return await read(from);
      } catch (error) {
        if (!(error instanceof EvolveFailedError)) throw error;
        return await read(beginning(kind));
      }
    });
  }

  async #load(active: ActiveActor, bounds: ReadBounds, told: LoadMessage): Promise<ActorState> {
    const { kind, actor, subject, epoch } = active;
    const askedAt = performance.now();
    const [found, head] = await Promise.all([
      this.#snapshots?.read(kind, actor, subject, bounds) ?? "none",
      this.#internals.history.head(subject, bounds, "leader"),
    ]);
    let loaded: Folded | string = "there is none";
    if (typeof found === "object") {
      const { current, recent } = found;
      const remembered = new RecentCommands(kind.rememberedCommands, recent);
      const of = { kind, actor, subject, recent: remembered };
      loaded = await this.#behind(of, current, head, bounds, told);
      const reason = typeof loaded === "string" ? loaded : undefined;
      this.#snapshots?.tellRead(actor, current.version, askedAt, reason);
      if (typeof loaded !== "string") told.snapshotVersion = current.version;
    }
    if (typeof loaded === "string") {
      const recent = new RecentCommands(kind.rememberedCommands);
      const whole = await this.#tail(
        { kind, actor, subject, recent },
        beginning(kind),
        head,
        bounds,
      );
      if (whole === BROKEN) throw new TypeError(`${subject} has no beginning`);
      loaded = whole;
    }
    told.commits = loaded.commits;
    if (active.epoch === epoch) {
      active.current = loaded.current;
      active.recent = loaded.recent;
      active.snapshotVersion = told.snapshotVersion ?? 0;
      active.commitsSince = loaded.commits;
      active.keepsNewer = found === "newer";
      active.confirmedAt = askedAt;
      active.inDoubt = false;
    }
    return loaded.current;
  }

  /** The state that goes on from what was known; why not, where that cannot be used. */
  async #behind(
    of: Remembering,
    current: ActorState,
    head: StoredCommit | undefined,
    bounds: ReadBounds,
    told: LoadMessage,
  ): Promise<Folded | string> {
    try {
      const folded = await this.#tail(of, current, head, bounds);
      if (folded === BROKEN) return "its commit does not stand in the stream";
      told.commits = folded.commits;
      return folded;
    } catch (error) {
      // the state may be of another shape than its version says: what the stream holds decides
      if (error instanceof EvolveFailedError) return error.message;
      throw error;
    }
  }

  /** The state after the commits behind `from` up to the head, whether `from` itself stands in the stream or not. */
  async #tail(
    { kind, actor, subject, recent }: Remembering,
    from: ActorState,
    head: StoredCommit | undefined,
    bounds: ReadBounds,
  ): Promise<Folded | typeof BROKEN> {
    if (isAt(from, head)) return { current: from, recent, commits: 0 };
    if (head === undefined || head.version <= from.version) return BROKEN;
    const range = { fromVersion: from.version + 1 };
    const commits = this.#internals.history.commits(subject, range, bounds, head);
    const standing = this.#stands(subject, from, bounds);
    standing.catch(() => {});
    try {
      // a tail that is not read to its end is read again: its commands are not to be remembered twice
      const folding = { kind, actor, subject, from, recent: recent.copy() };
      const folded = await this.#fold(folding, commits);
      return (await standing) ? folded : BROKEN;
    } catch (error) {
      // what does not go together need not be damaged
      if (!(await standing)) return BROKEN;
      throw error;
    }
  }

  /** Whether the commit behind which the state is stands where it stood. */
  async #stands(subject: string, from: ActorState, bounds: ReadBounds): Promise<boolean> {
    if (from.position === 0) return true;
    return isAt(from, await this.#internals.history.bySequence(subject, from.position, bounds));
  }

  async #fold(
    { kind, actor, subject, from, recent, until }: Folding,
    commits: AsyncIterable<StoredCommit>,
  ): Promise<Folded> {
    const { interpreter } = this.#internals;
    let current = from;
    let count = 0;
    for await (const { payload, firstVersion, version, message, commitId } of commits) {
      const { sequence: position, timestampMs: storedAtMs } = message;
      if (until !== undefined && "at" in until && storedAtMs > until.at.getTime()) break;
      const shapes = interpreter.shapes(actor, payload.events, firstVersion);
      const shaped = shapes instanceof Promise ? await shapes : shapes;
      const last = until !== undefined && "version" in until ? until.version : version;
      const events = last < version ? shaped.slice(0, last - firstVersion + 1) : shaped;
      const { metadata } = payload;
      const taken = evolving({ events, metadata, firstVersion });
      const state = evolve(kind, actor, current.state, taken, true);
      current = { state, version: Math.min(last, version), position, commitId, storedAtMs };
      recent.add(commitId, position, subject);
      count++;
    }
    return { current, recent, commits: count };
  }

  /** A whole history may have to be read for it: not for many at once. */
  async #slowly(
    actor: Actor,
    work: (told: LoadMessage) => Promise<ActorState>,
  ): Promise<ActorState> {
    if (!this.#slots.tryTake()) await this.#slots.take();
    try {
      return await this.#traced(actor, "past", work);
    } finally {
      this.#slots.release();
    }
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
  return { state: initialState, version: 0, position: 0, commitId: "", storedAtMs: undefined };
}

/** Whether the state is that behind this commit. Ids of commands may come again in a stream that was made anew. */
function isAt(
  { position, commitId, version, storedAtMs }: ActorState,
  commit: StoredCommit | undefined,
): boolean {
  if (commit === undefined) return position === 0;
  const { message } = commit;
  return (
    message.sequence === position &&
    commit.commitId === commitId &&
    commit.version === version &&
    (storedAtMs === undefined || storedAtMs === message.timestampMs)
  );
}

function isEarly({ version, storedAtMs }: ActorState, until: Past): boolean {
  if ("version" in until) return version <= until.version;
  return storedAtMs !== undefined && storedAtMs <= until.at.getTime();
}
