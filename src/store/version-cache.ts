import { LruMap } from "../internal/lru-map.ts";
import type { HistoryIndex } from "./history-index.ts";

/**
 * What a process knows of an actor's head. Immutable: a head that moved is another object.
 *
 * `index` is what the commit at `sequence` carries: `"none"` where that commit has no index (or none that holds), so
 * that the next commit starts an epoch; `"unknown"` where only its headers were seen, so that it must be fetched before
 * anything is appended behind it.
 */
export interface Head {
  readonly version: number;
  readonly sequence: number;
  readonly commitId: string;
  readonly index: HistoryIndex | "none" | "unknown";
}

/** The head of an actor without events. */
export const NO_HEAD: Head = { version: 0, sequence: 0, commitId: "", index: "none" };

/**
 * The actors' heads by subject, bounded, least recently used leaves. It only moves forward, except by `correct`, which
 * the holder of the actor's mutex calls with the leader's answer.
 */
export class VersionCache {
  #heads: LruMap<string, Head>;
  /** Heads from before the last {@link distrust}. */
  #suspects: LruMap<string, Head>;
  #hasForgotten = false;
  #epoch = 0;

  /** @param maxActors 0 turns the cache off */
  constructor(maxActors: number) {
    this.#heads = new LruMap(maxActors);
    this.#suspects = new LruMap(maxActors);
  }

  /** Whether it keeps nothing at all. */
  get off(): boolean {
    return this.#heads.capacity === 0;
  }

  get size(): number {
    return this.#heads.size;
  }

  /** Whether an actor that it does not hold may be one that it has held. */
  get hasForgotten(): boolean {
    return this.off || this.#hasForgotten;
  }

  /** Counts the calls of {@link distrust}: take it before asking, and hand it in with the answer. */
  get epoch(): number {
    return this.#epoch;
  }

  /** The head, if it is known and trusted. */
  get(subject: string): Head | undefined {
    return this.#heads.get(subject);
  }

  /** The same without counting as a use. */
  peek(subject: string): Head | undefined {
    return this.#heads.peek(subject);
  }

  /** A head from before the last {@link distrust}, to be compared with the stream before the actor is used again. */
  suspect(subject: string): Head | undefined {
    return this.#suspects.peek(subject);
  }

  /** What was suspected of an actor has been looked into. */
  settle(subject: string): void {
    this.#suspects.delete(subject);
  }

  /**
   * Takes a head that was seen, unless a later one is known; returns what is held then. An answer that was asked for in
   * an earlier epoch may speak of another history: it is kept as a suspect at most.
   */
  advance(subject: string, head: Head, epoch: number = this.#epoch): Head {
    const known = this.peek(subject);
    if (epoch !== this.#epoch) {
      if (known === undefined && head.sequence > 0) this.#suspects.set(subject, head);
      return known ?? head;
    }
    if (known !== undefined && !isNews(known, head)) return known;
    this.#put(subject, head);
    return head;
  }

  /** The same, for heads that pass by: only where the actor is in the cache already, and without counting as a use. */
  refresh(subject: string, head: Head): void {
    const known = this.peek(subject);
    if (known !== undefined && isNews(known, head)) this.#heads.replace(subject, head);
  }

  /**
   * Takes the leader's answer, which may be lower than what is known. The caller holds the actor's mutex and names what
   * was known when it asked: if that has changed since, the answer is old and only {@link advance}s.
   */
  correct(
    subject: string,
    knownBefore: Head | undefined,
    head: Head,
    epoch: number = this.#epoch,
  ): Head {
    if (epoch !== this.#epoch || this.peek(subject) !== knownBefore) {
      return this.advance(subject, head, epoch);
    }
    this.#put(subject, head);
    return head;
  }

  forget(subject: string): void {
    this.#hasForgotten = true;
    this.#heads.delete(subject);
  }

  /** After signs that the stream is another one: answers that are still on their way count no more either. */
  distrust(): void {
    this.#epoch++;
    this.suspectAll();
  }

  /** Nothing may be used any more before it has been compared with the stream. */
  suspectAll(): void {
    this.#hasForgotten ||= this.size > 0;
    for (const [subject, head] of this.#heads.entries()) this.#suspects.set(subject, head);
    this.#heads = new LruMap(this.#heads.capacity);
  }

  #put(subject: string, head: Head): void {
    // Whoever asked since has seen the history as it is now.
    if (this.#suspects.size > 0) this.#suspects.delete(subject);
    if (head.sequence === 0) this.#heads.delete(subject);
    else this.#heads.set(subject, head);
    // The next one pushes another out.
    if (this.#heads.size === this.#heads.capacity) this.#hasForgotten = true;
  }
}

function isNews(known: Head, seen: Head): boolean {
  if (seen.sequence !== known.sequence) return seen.sequence > known.sequence;
  return known.index === "unknown" && seen.index !== "unknown";
}
