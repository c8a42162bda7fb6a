import { CommandTimeoutError } from "./errors.ts";
import type { Decided, DecidedItem } from "./decided.ts";
import { type FoundEntry, type Lookups, NO_LOOKUPS } from "./lookups.ts";
import type { Asked } from "./prepare.ts";

/** What a command came to. */
export type Outcome = Decided | readonly DecidedItem[] | undefined;

/** How the caller is told; a method, so that commands of whatever result wait in one queue. */
interface Caller<T> {
  resolve(result: T): void;
}

/** A command on its way. */
export class Command<T = unknown> {
  /** What its caller waits for. */
  readonly promise: Promise<T>;
  readonly asked: Asked;
  readonly timeoutMs: number;
  readonly deadline: number;
  readonly #resultOf: (outcome: Outcome) => T;
  readonly #resolve: Caller<T>["resolve"];
  readonly #reject: (error: unknown) => void;
  #lookups: Map<string, FoundEntry | undefined> | undefined;
  /** What it came to, or why it was refused; told when its group is acknowledged. */
  outcome: Outcome;
  refusal: { readonly error: unknown } | undefined;
  /** Whether its caller was told something. */
  isSettled = false;

  /** @param resultOf what the caller is told of an outcome */
  constructor(asked: Asked, timeoutMs: number, resultOf: (outcome: Outcome) => T) {
    this.asked = asked;
    this.timeoutMs = timeoutMs;
    // an integer: a fraction would be an object of its own, for as long as the command is on its way
    this.deadline = Math.ceil(performance.now()) + timeoutMs;
    this.#resultOf = resultOf;
    this.promise = new Promise<T>(grasp);
    this.#resolve = graspedResolve;
    this.#reject = graspedReject;
  }

  /** What was read of the journal for it. */
  get lookups(): Lookups {
    return this.#lookups ?? NO_LOOKUPS;
  }

  /** Whether entries of the journal come of it: their outcome may be unknown. */
  get hasEntries(): boolean {
    const { outcome } = this;
    if (outcome === undefined) return false;
    return "version" in outcome ? isNew(outcome) : outcome.some(isNew);
  }

  found(id: string, entry: FoundEntry | undefined): void {
    this.#lookups ??= new Map();
    this.#lookups.set(id, entry);
  }

  /** It is to be decided again. */
  forget(): void {
    this.outcome = undefined;
    this.refusal = undefined;
    this.#lookups = undefined;
  }

  /** Tells its outcome. */
  settle(): void {
    this.isSettled = true;
    if (this.refusal !== undefined) {
      this.#reject(this.refusal.error);
      return;
    }
    try {
      this.#resolve(this.#resultOf(this.outcome));
    } catch (error) {
      this.#reject(error);
    }
  }

  reject(error: unknown): void {
    this.isSettled = true;
    this.#reject(error);
  }

  /** Its time is over, and it was not sent. */
  expire(ledger: string, cause?: unknown): void {
    if (this.isSettled) return;
    this.reject(new CommandTimeoutError(ledger, this.timeoutMs, { cause }));
  }
}

/** What makes promises answers here what settles them, at once: a function of each command's own would cost it memory. */
function grasp(resolve: (result: never) => void, reject: (error: unknown) => void): void {
  graspedResolve = resolve;
  graspedReject = reject;
}

let graspedResolve: Caller<unknown>["resolve"];
let graspedReject: (error: unknown) => void;

function isNew(decided: DecidedItem): boolean {
  return "version" in decided && !decided.dryRun && !decided.replayed;
}
