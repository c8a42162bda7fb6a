import { deferred, type Deferred } from "../internal/deferred.ts";
import type { StoredMessage } from "../nats/stored-message.ts";
import type { StoredCommit } from "./commit.ts";
import { type HistoryIndex, pointersWithin } from "./history-index.ts";

/** Versions wanted, both included. */
export interface VersionRange {
  readonly fromVersion: number;
  readonly toVersion: number;
}

/** Where the index did not lead to what it promised. */
export interface Hole {
  readonly sequence: number;
  readonly reason: string;
}

/** How a walk gets at commits. */
export interface WalkSource {
  readonly subject: string;
  readonly backwards: boolean;
  /** About how many bytes may be fetched ahead of the reader. */
  readonly windowBytes: number;
  /** About how many events will be taken; undefined = all. */
  readonly expectedEvents: number | undefined;
  fetch(sequence: number): Promise<StoredMessage | undefined>;
  /** The commit before one, without an index. */
  predecessor(commit: StoredCommit): Promise<StoredMessage | undefined>;
  read(message: StoredMessage): StoredCommit;
  indexOf(commit: StoredCommit): HistoryIndex | "none";
}

/** A place in the list of what is still to be returned, in the order of returning. */
interface Node {
  /** `waiting`: to be fetched; `ready`: a commit to return; `failed`: a hole or an error. */
  state: "waiting" | "fetching" | "ready" | "failed";
  next: Node | undefined;
  readonly sequence: number;
  /** Version that the commit there must end at. */
  readonly version: number;
  /** Versions up to here are answered for by other nodes. */
  readonly low: number;
  /** The commit whose predecessor this is, where no index leads here. */
  readonly successor: StoredCommit | undefined;
  /** Commits without index that were followed to get here. */
  readonly hops: number;
  commit: StoredCommit | undefined;
  failure: Hole | { readonly error: unknown } | undefined;
}

/** Commits without index that a forward walk follows one by one before it gives up (design: up to 64). */
const MAX_HOPS = 64;
const MAX_WINDOW = 512;
const MIN_WINDOW = 16;

/**
 * Expands an actor's head into its history: a list of places in the order of returning, each replaced by the places that
 * its commit points to and the commit itself as soon as it has been fetched. Fetches run in parallel, bounded ahead of
 * the reader, so a history costs as many round trips as its index is deep, not as it is long.
 */
export class HistoryWalk {
  readonly #range: VersionRange;
  readonly #source: WalkSource;
  #first: Node | undefined;
  /** Commits being fetched, or fetched and not yet taken. */
  #ahead = 0;
  #meanBytes: number;
  /** Places that are still to be fetched. */
  #waiting = 0;
  /** Events of the range that were handed out. */
  #handed = 0;
  #wake: Deferred<void> | undefined;

  constructor(head: StoredCommit, range: VersionRange, source: WalkSource) {
    this.#range = range;
    this.#source = source;
    this.#meanBytes = head.message.data.length + 100;
    this.#ahead = 1;
    this.#first = this.#expand(head, 0, 0, undefined);
    this.#launch();
  }

  /** The next commit, if it is at hand. */
  take(): StoredCommit | undefined {
    const node = this.#first;
    if (node?.state !== "ready" || node.commit === undefined) return undefined;
    this.#first = node.next;
    this.#ahead--;
    this.#handed += this.#eventsInRange(node.commit);
    this.#launch();
    return node.commit;
  }

  /** The next commit; a hole where the rest must be read otherwise; undefined at the end. */
  async next(): Promise<StoredCommit | Hole | undefined> {
    for (;;) {
      const node = this.#first;
      if (node === undefined) return undefined;
      if (node.state === "failed" && node.failure !== undefined) {
        if ("error" in node.failure) throw node.failure.error;
        return node.failure;
      }
      const commit = this.take();
      if (commit !== undefined) return commit;
      // More than was expected is asked for.
      if (node.state === "waiting") this.#fetch(node);
      this.#wake = deferred();
      await this.#wake.promise;
    }
  }

  /** The list that a fetched commit becomes, in the order of returning, ending in `rest`. */
  #expand(
    commit: StoredCommit,
    low: number,
    hops: number,
    rest: Node | undefined,
  ): Node | undefined {
    return this.#insert(commit, this.#placesBefore(commit, low, hops), low, rest);
  }

  #isWanted({ version, firstVersion }: StoredCommit): boolean {
    return version >= this.#range.fromVersion && firstVersion <= this.#range.toVersion;
  }

  #insert(
    commit: StoredCommit,
    places: Node[],
    low: number,
    rest: Node | undefined,
  ): Node | undefined {
    const wanted = this.#isWanted(commit);
    if (!wanted) this.#ahead--;
    this.#waiting += places.length;
    const own = wanted ? [node(commit.message.sequence, commit.version, low, { commit })] : [];
    // Places come newest first.
    const list = this.#source.backwards ? [...own, ...places] : [...places.reverse(), ...own];
    let first = rest;
    for (let at = list.length - 1; at >= 0; at--) {
      const place = list[at];
      if (place === undefined) continue;
      place.next = first;
      first = place;
    }
    return first;
  }

  #placesBefore(commit: StoredCommit, low: number, hops: number): Node[] {
    const { fromVersion, toVersion } = this.#range;
    const index = this.#source.indexOf(commit);
    const places: Node[] = [];
    if (index !== "none") {
      const found = pointersWithin(index, fromVersion, toVersion, low);
      for (let at = 0; at + 2 < found.length; at += 3) {
        places.push(node(found[at] ?? 0, found[at + 1] ?? 0, found[at + 2] ?? 0, {}));
      }
    }
    const endsIndex = index === "none" || (index.ordinal === 0 && index.unindexedBelow > 0);
    if (endsIndex && commit.firstVersion > fromVersion) {
      const { expectedSequence = 0, firstVersion } = commit;
      places.push(
        node(expectedSequence, firstVersion - 1, 0, { successor: commit, hops: hops + 1 }),
      );
    }
    return places;
  }

  #eventsInRange({ firstVersion, version }: StoredCommit): number {
    const { fromVersion, toVersion } = this.#range;
    return Math.min(version, toVersion) - Math.max(firstVersion, fromVersion) + 1;
  }

  /** Versions of the range that a place stands for, whether it has been expanded yet or not. */
  #covers({ commit, version, low }: Node): number {
    if (commit !== undefined) return this.#eventsInRange(commit);
    const { fromVersion, toVersion } = this.#range;
    return Math.min(version, toVersion) - Math.max(low, fromVersion - 1);
  }

  /** Fetches ahead of the reader: as far as the window reaches, and no more than the reader is going to take. */
  #launch(): void {
    if (this.#waiting === 0) return;
    const { expectedEvents = Number.POSITIVE_INFINITY, windowBytes } = this.#source;
    const window = Math.max(1, Math.min(MAX_WINDOW, Math.floor(windowBytes / this.#meanBytes)));
    const wanted = expectedEvents - this.#handed;
    let covered = 0;
    let place = 0;
    for (let at = this.#first; at !== undefined && covered < wanted; at = at.next) {
      covered += this.#covers(at);
      if (++place > MAX_WINDOW) return;
      if (at.state !== "waiting") continue;
      // The first places must always move, whatever was fetched behind them.
      if (this.#ahead >= window && place > MIN_WINDOW) return;
      this.#fetch(at);
    }
  }

  #fetch(target: Node): void {
    this.#waiting--;
    if (!this.#source.backwards && target.hops > MAX_HOPS) {
      this.#fail(target, {
        sequence: target.sequence,
        reason: `more than ${MAX_HOPS} commits without index`,
      });
      return;
    }
    target.state = "fetching";
    this.#ahead++;
    const { successor, sequence } = target;
    const message =
      successor === undefined ? this.#source.fetch(sequence) : this.#source.predecessor(successor);
    message.then(
      (found) => this.#arrive(target, found),
      (error: unknown) => this.#fail(target, { error }),
    );
  }

  #arrive(target: Node, message: StoredMessage | undefined): void {
    const { sequence, version } = target;
    if (message === undefined) {
      this.#fail(target, { sequence, reason: "nothing is stored there" });
      return;
    }
    if (message.subject !== this.#source.subject) {
      this.#fail(target, {
        sequence,
        reason: `another subject is stored there: ${message.subject}`,
      });
      return;
    }
    let commit: StoredCommit;
    try {
      commit = this.#source.read(message);
    } catch (error) {
      this.#fail(target, { error });
      return;
    }
    if (commit.version !== version) {
      const reason = `the commit there ends at version ${commit.version}, expected ${version}`;
      this.#fail(target, { sequence, reason });
      return;
    }
    this.#meanBytes += (message.data.length + 100 - this.#meanBytes) / 16;
    const places = this.#placesBefore(commit, target.low, target.hops);
    if (places.length === 0 && this.#isWanted(commit)) {
      target.commit = commit;
      target.state = "ready";
    } else {
      this.#replace(target, this.#insert(commit, places, target.low, target.next));
    }
    this.#launch();
    this.#wake?.resolve();
  }

  #replace(target: Node, by: Node | undefined): void {
    if (this.#first === target) {
      this.#first = by;
      return;
    }
    let before = this.#first;
    while (before !== undefined && before.next !== target) before = before.next;
    if (before !== undefined) before.next = by;
  }

  #fail(target: Node, failure: NonNullable<Node["failure"]>): void {
    target.state = "failed";
    target.failure = failure;
    this.#wake?.resolve();
  }
}

function node(
  sequence: number,
  version: number,
  low: number,
  more: { commit?: StoredCommit; successor?: StoredCommit; hops?: number },
): Node {
  return {
    state: more.commit === undefined ? "waiting" : "ready",
    next: undefined,
    sequence,
    version,
    low,
    successor: more.successor,
    hops: more.hops ?? 0,
    commit: more.commit,
    failure: undefined,
  };
}
