/** How long after another process's commit it is believed to go on writing. */
const NEAR_MS = 250;
const MIN_PAUSE_MS = 1;
const MAX_PAUSE_MS = 20;
/** So many of its own round trips a process leaves to the others. */
const ROUND_TRIPS = 1.5;

/**
 * What a process knows of others that write the same journal. One that wins while others write lets them have a turn;
 * one that has lost tries again at once: so none is starved, and none waits where it is alone.
 */
export class Rivals {
  #conflicts = 0;
  #seenAt = Number.NEGATIVE_INFINITY;
  #hasWon = false;
  #roundTripMs = MIN_PAUSE_MS;

  /** Own groups that another process was faster than. */
  get conflicts(): number {
    return this.#conflicts;
  }

  get areNear(): boolean {
    return performance.now() - this.#seenAt < NEAR_MS;
  }

  /** How long to leave the journal to the others. */
  get pauseMs(): number {
    if (!this.#hasWon || !this.areNear) return 0;
    const pause = ROUND_TRIPS * this.#roundTripMs * (0.75 + Math.random() / 2);
    return Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, pause));
  }

  /** A commit of another process was read. */
  seen(): void {
    this.#seenAt = performance.now();
  }

  lost(): void {
    this.#conflicts++;
    this.#hasWon = false;
    this.seen();
  }

  won(roundTripMs: number): void {
    this.#hasWon = true;
    this.#roundTripMs += (roundTripMs - this.#roundTripMs) / 8;
  }
}
