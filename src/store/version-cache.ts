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

interface Slot {
  readonly head: Head;
  readonly generation: number;
}

/**
 * The actors' heads by subject, bounded, least recently used leaves. It only moves forward, except by `correct`, which
 * the holder of the actor's mutex calls with the leader's answer.
 */
export class VersionCache {
  readonly #slots: LruMap<string, Slot>;
  #generation = 0;

  /** @param maxActors 0 turns the cache off */
  constructor(maxActors: number) {
    this.#slots = new LruMap(maxActors);
  }

  /** Whether it keeps nothing at all. */
  get off(): boolean {
    return this.#slots.capacity === 0;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** The head, if it is known and trusted. */
  get(subject: string): Head | undefined {
    const slot = this.#slots.get(subject);
    return slot?.generation === this.#generation ? slot.head : undefined;
  }

  /** The same without counting as a use. */
  peek(subject: string): Head | undefined {
    const slot = this.#slots.peek(subject);
    return slot?.generation === this.#generation ? slot.head : undefined;
  }

  /** A head from before the last {@link distrust}, to be compared with the stream once. */
  suspect(subject: string): Head | undefined {
    const slot = this.#slots.peek(subject);
    return slot === undefined || slot.generation === this.#generation ? undefined : slot.head;
  }

  /** Takes a head that was seen, unless a later one is known; returns what is held then. */
  advance(subject: string, head: Head): Head {
    const known = this.peek(subject);
    if (known !== undefined && !isNews(known, head)) return known;
    this.#put(subject, head);
    return head;
  }

  /** The same, for heads that pass by: only where the actor is in the cache already, and without counting as a use. */
  refresh(subject: string, head: Head): void {
    const known = this.peek(subject);
    if (known === undefined || !isNews(known, head)) return;
    this.#slots.replace(subject, { head, generation: this.#generation });
  }

  /**
   * Takes the leader's answer, which may be lower than what is known. The caller holds the actor's mutex and names what
   * was known when it asked: if that has changed since, the answer is old and only {@link advance}s.
   */
  correct(subject: string, knownBefore: Head | undefined, head: Head): Head {
    if (this.peek(subject) !== knownBefore) return this.advance(subject, head);
    this.#put(subject, head);
    return head;
  }

  forget(subject: string): void {
    this.#slots.delete(subject);
  }

  /** After signs that the stream is another one: every head must be compared with it before it is used again. */
  distrust(): void {
    this.#generation++;
  }

  #put(subject: string, head: Head): void {
    if (head.sequence === 0) this.#slots.delete(subject);
    else this.#slots.set(subject, { head, generation: this.#generation });
  }
}

function isNews(known: Head, seen: Head): boolean {
  if (seen.sequence !== known.sequence) return seen.sequence > known.sequence;
  return known.index === "unknown" && seen.index !== "unknown";
}
