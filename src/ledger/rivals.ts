/** How long after another process's commit it is believed to go on writing. */
const NEAR_MS = 250;
const MIN_PAUSE_MS = 1;
const MAX_PAUSE_MS = 20;
/** So many of its own round trips a process leaves to the others unasked. */
const ROUND_TRIPS = 1.5;
/** Times in a row that a process loses before it asks for a turn. */
const LOSSES = 2;
/** A process that asked reads the journal's head and its tail, and publishes: so many of its round trips. */
const ROUND_TRIPS_ASKED = 6;
const MAX_TURN_MS = 500;

/** Sends a request for a turn to the other processes. */
export type AskForTurn = (turnMs: number) => void;

/**
 * What a process knows of others that write the same journal. One that wins while others write lets them have a turn:
 * a short one unasked, and one as long as they need when they ask for it, because a slower one would never win otherwise.
 * One that has lost tries again at once. So none is starved, and none waits where it is alone.
 */
export class Rivals {
  readonly #ask: AskForTurn;
  #conflicts = 0;
  #lossesInARow = 0;
  #seenAt = Number.NEGATIVE_INFINITY;
  #turnUntil = Number.NEGATIVE_INFINITY;
  #hasWon = false;
  /** Of a commit that was acknowledged, or refused. */
  #roundTripMs = MIN_PAUSE_MS;

  constructor(ask: AskForTurn) {
    this.#ask = ask;
  }

  /** Own groups that another process was faster than. */
  get conflicts(): number {
    return this.#conflicts;
  }

  get areNear(): boolean {
    const now = performance.now();
    return now - this.#seenAt < NEAR_MS || now < this.#turnUntil;
  }

  /** How long to leave the journal to the others. */
  get pauseMs(): number {
    if (!this.#hasWon || !this.areNear) return 0;
    const asked = this.#turnUntil - performance.now();
    const unasked = ROUND_TRIPS * this.#roundTripMs * (0.75 + Math.random() / 2);
    return Math.max(asked, MIN_PAUSE_MS, Math.min(MAX_PAUSE_MS, unasked));
  }

  /** A commit of another process was read. */
  seen(): void {
    this.#seenAt = performance.now();
    this.#turnUntil = this.#seenAt;
  }

  /** Another process asks for a turn. */
  asked(turnMs: number): void {
    if (!(turnMs > 0)) return;
    this.#turnUntil = performance.now() + Math.min(turnMs, MAX_TURN_MS);
  }

  lost(roundTripMs: number): void {
    this.#conflicts++;
    this.#hasWon = false;
    this.#measure(roundTripMs);
    this.seen();
    if (++this.#lossesInARow < LOSSES) return;
    const slowest = Math.max(roundTripMs, this.#roundTripMs);
    this.#ask(Math.ceil(ROUND_TRIPS_ASKED * slowest) + this.#lossesInARow);
  }

  won(roundTripMs: number): void {
    this.#hasWon = true;
    this.#lossesInARow = 0;
    this.#measure(roundTripMs);
  }

  #measure(roundTripMs: number): void {
    this.#roundTripMs += (roundTripMs - this.#roundTripMs) / 8;
  }
}
