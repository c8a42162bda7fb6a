import type { Transaction } from "annal/ledger";
import type { Claim } from "../lib/proof.ts";
import { formatCount } from "../lib/table.ts";
import type { Answer } from "./messages.ts";

/** Adds up the postings of the journal, as naively as can be, and looks at every step. No I/O. */
export class NaiveBooks {
  readonly #balances = new Map<string, bigint>();
  readonly #overdrawn: string[] = [];
  readonly #wrong: string[] = [];
  readonly #answers: ReadonlyMap<string, Answer>;
  readonly #holds = new Map<string, bigint>();
  readonly #transactions = new Map<string, Transaction>();
  readonly #reverted = new Set<string>();
  readonly #captured = new Set<string>();

  constructor(answers: readonly Answer[]) {
    this.#answers = new Map(answers.map((answer) => [answer.key, answer]));
    for (const { kind, id, amount } of answers)
      if (kind === "hold" && id !== undefined) this.#holds.set(id, BigInt(amount ?? 0));
  }

  get transactions(): number {
    return this.#transactions.size;
  }

  balance(account: string, asset: string): bigint {
    return this.#balances.get(`${asset} ${account}`) ?? 0n;
  }

  /** Takes the next transaction of the journal. */
  take(transaction: Transaction): void {
    const { id, postings, idempotencyKey = "", reverts, captures } = transaction;
    this.#transactions.set(id, transaction);
    for (const { source, destination, asset, amount } of postings) {
      const left = this.balance(source, asset) - amount;
      if (left < 0n && source !== "world")
        this.#overdrawn.push(`${source} has ${left} ${asset} after transaction ${id}`);
      this.#balances.set(`${asset} ${source}`, left);
      this.#balances.set(`${asset} ${destination}`, this.balance(destination, asset) + amount);
    }
    const told = this.#answers.get(idempotencyKey)?.amount;
    const moved = String(postings[0]?.amount);
    if (told !== undefined && told !== moved)
      this.#wrong.push(`${id}: ${told} was acknowledged, ${moved} moved`);
    if (reverts !== undefined) this.#takeRevert(transaction, reverts);
    if (captures === undefined) return;
    if (this.#captured.has(captures))
      this.#wrong.push(`${id}: hold ${captures} was captured before`);
    this.#captured.add(captures);
    const held = this.#holds.get(captures);
    if (held !== undefined && BigInt(moved) > held)
      this.#wrong.push(`${id}: ${moved} captured of ${held}`);
  }

  /** What has been shown, after the last transaction. */
  claims(): Claim[] {
    const reverts = `${formatCount(this.#reverted.size)} reverts`;
    const captures = `${formatCount(this.#captured.size)} captures`;
    return [
      {
        text: "no account was ever below zero, after any transaction",
        violations: this.#overdrawn,
      },
      {
        text: `what moved is what was acknowledged; ${reverts} and ${captures}, none of them twice`,
        violations: this.#wrong,
      },
    ];
  }

  #takeRevert({ id, postings }: Transaction, reverts: string): void {
    if (this.#reverted.has(reverts)) this.#wrong.push(`${id}: ${reverts} was reverted before`);
    this.#reverted.add(reverts);
    const original = this.#transactions.get(reverts)?.postings ?? [];
    const swapped = [...original].reverse().map(({ source, destination, asset, amount }) =>
      // the same text as of the postings of the revert, if they lead back
      [destination, source, asset, amount].join(" "),
    );
    const found = postings.map(({ source, destination, asset, amount }) =>
      [source, destination, asset, amount].join(" "),
    );
    if (found.length === 0 || found.join() !== swapped.join())
      this.#wrong.push(`${id} does not lead back what ${reverts} moved`);
  }
}
