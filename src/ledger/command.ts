import { CommandTimeoutError } from "./errors.ts";
import type { Decided, DecidedItem } from "./decider.ts";
import { type FoundEntry, type Lookups, NO_LOOKUPS } from "./lookups.ts";
import type { Asked } from "./prepare.ts";

/** What a command came to. */
export type Outcome = Decided | readonly DecidedItem[] | undefined;

/** What was decided of a command; told when its group is acknowledged. */
export type Verdict =
  | { readonly kind: "decided"; readonly outcome: Outcome }
  | { readonly kind: "refused"; readonly error: unknown };

/** A command on its way. */
export class Command {
  readonly asked: Asked;
  readonly deadline: number;
  readonly #resolve: (outcome: Outcome) => void;
  readonly #reject: (error: unknown) => void;
  #lookups: Map<string, FoundEntry | undefined> | undefined;
  verdict: Verdict | undefined;

  constructor(
    asked: Asked,
    deadline: number,
    resolve: (outcome: Outcome) => void,
    reject: (error: unknown) => void,
  ) {
    this.asked = asked;
    this.deadline = deadline;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** What was read of the journal for it. */
  get lookups(): Lookups {
    return this.#lookups ?? NO_LOOKUPS;
  }

  /** Whether entries of the journal come of it: their outcome may be unknown. */
  get hasEntries(): boolean {
    if (this.verdict?.kind !== "decided") return false;
    const { outcome } = this.verdict;
    if (outcome === undefined) return false;
    return "entry" in outcome ? isNew(outcome) : outcome.some(isNew);
  }

  found(id: string, entry: FoundEntry | undefined): void {
    this.#lookups ??= new Map();
    this.#lookups.set(id, entry);
  }

  /** It is to be decided again. */
  forget(): void {
    this.verdict = undefined;
    this.#lookups = undefined;
  }

  /** Tells the verdict. */
  settle(): void {
    const { verdict } = this;
    if (verdict?.kind === "decided") this.#resolve(verdict.outcome);
    else this.#reject(verdict?.error);
  }

  reject(error: unknown): void {
    this.#reject(error);
  }

  expire(ledger: string, timeoutMs: number): void {
    this.#reject(new CommandTimeoutError(ledger, timeoutMs));
  }
}

function isNew(decided: DecidedItem): boolean {
  return "entry" in decided && !decided.dryRun && !decided.replayed;
}
