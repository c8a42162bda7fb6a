import { AppendOutcomeUnknownError, OverloadedError } from "annal";
import {
  CommandTimeoutError,
  InsufficientFundsError,
  type Ledger,
  type TransactionResult,
} from "annal/ledger";
import { seededRandom } from "../lib/random.ts";
import { accountNames, OPENING } from "./ledger.ts";
import type { Answer, Transfer } from "./messages.ts";

/** Shares of what is not a plain transfer. */
const HOLDS = 0.05;
const REVERTS = 0.03;
const REPETITIONS = 0.03;
/** Share of transfers of more than anybody has. */
const TOO_MUCH = 0.01;
/** Latest transfers that may be reverted or repeated. */
const REMEMBERED = 1_000;
const HOLD_MS = 3_600_000;

interface Done {
  readonly key: string;
  readonly transfer: Transfer;
  readonly id: string;
}

/** Commands of one process, each with a key of its own, one after the other for each caller. */
export class Hammer {
  readonly #ledger: Ledger;
  readonly #writer: number;
  readonly #accounts: readonly string[];
  readonly #random: () => number;
  readonly #onAnswer: (answer: Answer) => void;
  readonly #done: Done[] = [];
  readonly #revertible: Done[] = [];
  #number = 0;
  #retried = 0;
  #repeated = 0;
  #stopped = false;

  constructor(
    ledger: Ledger,
    { writer, accounts }: { readonly writer: number; readonly accounts: number },
    onAnswer: (answer: Answer) => void,
  ) {
    this.#ledger = ledger;
    this.#writer = writer;
    this.#accounts = accountNames(accounts);
    this.#random = seededRandom(writer + 1);
    this.#onAnswer = onAnswer;
  }

  get retried(): number {
    return this.#retried;
  }

  get repeated(): number {
    return this.#repeated;
  }

  /** Lets so many callers send their commands until it is stopped, and all have been answered. */
  async run(callers: number): Promise<void> {
    const call = async (): Promise<void> => {
      while (!this.#stopped) await this.#next();
    };
    await Promise.all(Array.from({ length: callers }, call));
  }

  stop(): void {
    this.#stopped = true;
  }

  #next(): Promise<void> {
    const what = this.#random();
    if (what < HOLDS) return this.#hold();
    if (what < HOLDS + REVERTS) return this.#revert();
    if (what < HOLDS + REVERTS + REPETITIONS) return this.#repeat();
    return this.#transfer();
  }

  async #transfer(): Promise<void> {
    const key = this.#key();
    const transfer = this.#anyTransfer();
    const result = await this.#answered(() => this.#post(transfer, key));
    if (result === undefined) return this.#onAnswer({ key, kind: "transfer" });
    const { id, version, amounts } = result;
    const done = { key, transfer, id };
    remember(this.#done, done);
    remember(this.#revertible, done);
    this.#onAnswer({ key, kind: "transfer", id, version, amount: String(amounts[0]), transfer });
  }

  async #hold(): Promise<void> {
    const key = this.#key();
    const { from, to, asset, amount: text } = this.#anyTransfer();
    const amount = BigInt(text);
    const expiresAt = new Date(Date.now() + HOLD_MS);
    const hold = { from, to, asset, amount, expiresAt };
    const held = await this.#answered(() => this.#ledger.hold(hold, { idempotencyKey: key }));
    if (held === undefined) return this.#onAnswer({ key, kind: "hold" });
    const { id, version } = held;
    this.#onAnswer({ key, kind: "hold", id, version, amount: text });
    if (this.#random() < 0.25) await this.#release(id);
    else await this.#capture(id, this.#random() < 0.5 ? undefined : amount / 2n + 1n);
  }

  async #capture(hold: string, amount: bigint | undefined): Promise<void> {
    const key = this.#key();
    const options = { idempotencyKey: key };
    const result = await this.#answered(() => this.#ledger.capture(hold, amount, options));
    if (result === undefined) return this.#onAnswer({ key, kind: "capture" });
    const { id, version, amounts } = result;
    this.#onAnswer({ key, kind: "capture", id, version, amount: String(amounts[0]) });
  }

  async #release(hold: string): Promise<void> {
    const key = this.#key();
    const options = { idempotencyKey: key };
    const result = await this.#answered(() => this.#ledger.release(hold, options));
    this.#onAnswer({ key, kind: "release", id: result?.id, version: result?.version });
  }

  async #revert(): Promise<void> {
    const done = this.#revertible.splice(this.#below(this.#revertible.length), 1)[0];
    if (done === undefined) return this.#transfer();
    const key = this.#key();
    const options = { idempotencyKey: key };
    const result = await this.#answered(() => this.#ledger.revert(done.id, options));
    this.#onAnswer({ key, kind: "revert", id: result?.id, version: result?.version });
  }

  /** Asks again for what was answered before: the answer must be the first one. */
  async #repeat(): Promise<void> {
    const done = this.#done[this.#below(this.#done.length)];
    if (done === undefined) return this.#transfer();
    const result = await this.#answered(() => this.#post(done.transfer, done.key));
    if (result?.replayed !== true || result.id !== done.id) {
      const found =
        result === undefined ? "a refusal" : `${result.id}, replayed: ${result.replayed}`;
      throw new Error(`${done.key} was answered with ${done.id}; asked again: ${found}`);
    }
    this.#repeated++;
  }

  #post(transfer: Transfer, key: string): Promise<TransactionResult> {
    return postTransfer(this.#ledger, transfer, key);
  }

  /** Repeats a command, by its key, until its outcome is known. @returns undefined where it was refused */
  async #answered<Result>(send: () => Promise<Result>): Promise<Result | undefined> {
    for (;;) {
      try {
        return await send();
      } catch (error) {
        if (error instanceof InsufficientFundsError) return undefined;
        const isUnknown =
          error instanceof CommandTimeoutError || error instanceof AppendOutcomeUnknownError;
        if (!isUnknown && !(error instanceof OverloadedError)) throw error;
        this.#retried++;
      }
    }
  }

  #anyTransfer(): Transfer {
    const assets = [...OPENING.keys()];
    const from = this.#below(this.#accounts.length);
    const to = (from + 1 + this.#below(this.#accounts.length - 1)) % this.#accounts.length;
    const amount = this.#random() < TOO_MUCH ? 1_000_000_000 : 1 + this.#below(200);
    return {
      from: this.#accounts[from] ?? "",
      to: this.#accounts[to] ?? "",
      asset: assets[this.#below(assets.length)] ?? "",
      amount: String(amount),
    };
  }

  #key(): string {
    return `w${this.#writer}-${++this.#number}`;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

/** Posts a transfer under a key; the same again has the effect of once. */
export function postTransfer(
  ledger: Ledger,
  { from, to: account, asset, amount }: Transfer,
  idempotencyKey: string,
): Promise<TransactionResult> {
  const to = [{ account, amount: BigInt(amount) }];
  return ledger.transfer({ from, asset, to }, { idempotencyKey });
}

function remember(list: Done[], done: Done): void {
  list.push(done);
  if (list.length > REMEMBERED) list.shift();
}
