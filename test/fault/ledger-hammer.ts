import { setTimeout as delay } from "node:timers/promises";
import { AnnalError } from "../../src/index.ts";
import type { Ledger, TransactionResult } from "../../src/ledger/index.ts";
import { eventually } from "../support/server.ts";
import type { AcknowledgedKey } from "./ledger-audit.ts";

/** What leaves open whether a command was posted, or says that it was not tried: the same key again tells. */
const OPEN = new Set([
  "append_outcome_unknown",
  "command_outcome_unknown",
  "command_timeout",
  "read_timeout",
  "jetstream_unavailable",
  "connection_failed",
]);

/** Callers that send one command after the other, each repeated with its key until its outcome is known. */
export class Hammer {
  readonly done: AcknowledgedKey[] = [];
  /** How often an outcome stayed open at first, by code. */
  readonly open = new Map<string, number>();
  /** Codes of refusals. */
  readonly refused = new Map<string, number>();
  /** Results that a repetition was told of. */
  replayed = 0;
  /** What must not happen. */
  readonly failures: unknown[] = [];
  readonly #lanes: readonly Promise<void>[];
  #stopped = false;

  constructor(
    name: string,
    lanes: number,
    send: (key: string, lane: number) => Promise<TransactionResult>,
    perLane = Number.POSITIVE_INFINITY,
  ) {
    this.#lanes = Array.from({ length: lanes }, async (_, lane) => {
      try {
        for (let n = 0; n < perLane && !this.#stopped; n++)
          await this.#until(`${name}-${lane}-${n}`, lane, send);
      } catch (error) {
        this.failures.push(error);
      }
    });
  }

  /** Waits until so many more are acknowledged. */
  async progress(count: number, timeoutMs = 30_000): Promise<void> {
    const wanted = this.done.length + count;
    await eventually(() => this.failures.length > 0 || this.done.length >= wanted, { timeoutMs });
    if (this.failures.length > 0) throw this.failures[0];
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.ended();
  }

  async ended(): Promise<void> {
    await Promise.all(this.#lanes);
  }

  async #until(
    key: string,
    lane: number,
    send: (key: string, lane: number) => Promise<TransactionResult>,
  ): Promise<void> {
    for (;;) {
      try {
        const { id, replayed } = await send(key, lane);
        this.done.push({ key, id });
        if (replayed) this.replayed++;
        return;
      } catch (error) {
        if (!(error instanceof AnnalError)) throw error;
        const { code } = error;
        if (code === "insufficient_funds") {
          this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
          return;
        }
        if (!OPEN.has(code)) throw error;
        this.open.set(code, (this.open.get(code) ?? 0) + 1);
        await delay(20);
      }
    }
  }
}

/** Transfers of 1 among so many accounts, from each lane's own to the next. */
export function transferAmong(
  ledger: Ledger,
  accounts: number,
  asset: string,
): (key: string, lane: number) => Promise<TransactionResult> {
  return (key, lane) => {
    const from = `account-${lane % accounts}`;
    const to = [{ account: `account-${(lane + 1) % accounts}`, amount: 1n }];
    return ledger.transfer({ from, asset, to }, { idempotencyKey: key });
  };
}
