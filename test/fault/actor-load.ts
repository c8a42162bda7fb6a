import { setTimeout as delay } from "node:timers/promises";
import { AnnalError, EventStore } from "../../src/index.ts";
import {
  account,
  type AccountCommand,
  type Bank,
  deposit,
  deposited,
  InsufficientFunds,
  transfer,
} from "../integration/actor/actor-account.ts";
import { Audit, type Sent } from "../integration/actor/actor-audit.ts";
import type { AccountHost, BankStore } from "../integration/actor/actor-stage.ts";
import { eventually } from "../support/server.ts";

/** What leaves open whether a command was stored, or says that it was not tried: the same id again tells. */
const OPEN = new Set([
  "append_outcome_unknown",
  "command_timeout",
  "connection_failed",
  "jetstream_unavailable",
  "overloaded",
  "read_timeout",
  "too_many_conflicts",
]);

/** What is sent to whom. */
type Pick = () => readonly [actor: string, command: AccountCommand];

/** Callers that send one command after the other, each repeated with its id until its outcome is known. */
export class ActorLoad {
  readonly done: Sent[] = [];
  /** How often an outcome stayed open at first, by code. */
  readonly open = new Map<string, number>();
  /** What must not happen. */
  readonly failures: unknown[] = [];
  readonly #host: AccountHost;
  readonly #lanes: readonly Promise<void>[];
  #stopped = false;

  constructor(name: string, host: AccountHost, lanes: number, pick: Pick) {
    this.#host = host;
    this.#lanes = Array.from({ length: lanes }, async (_, lane) => {
      try {
        for (let n = 0; !this.#stopped; n++) await this.#until(`${name}-${lane}-${n}`, ...pick());
      } catch (error) {
        this.failures.push(error);
      }
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes);
  }

  async #until(commandId: string, actor: string, command: AccountCommand): Promise<void> {
    const about = { commandId, actor, command, from: 0, to: Number.MAX_SAFE_INTEGER };
    for (;;) {
      try {
        const came = await this.#host.send(account(actor), command, { commandId });
        this.done.push({ ...about, came });
        return;
      } catch (error) {
        if (error instanceof InsufficientFunds) {
          this.done.push({ ...about, came: "refused" });
          return;
        }
        if (!(error instanceof AnnalError) || !OPEN.has(error.code)) throw error;
        this.open.set(error.code, (this.open.get(error.code) ?? 0) + 1);
        await delay(20);
      }
    }
  }
}

/** Waits until so many more commands have an outcome, whoever sent them. */
export async function progressOf(loads: readonly ActorLoad[], count: number): Promise<void> {
  const done = (): number => loads.reduce((sum, load) => sum + load.done.length, 0);
  const failures = (): readonly unknown[] => loads.flatMap((load) => load.failures);
  const wanted = done() + count;
  await eventually(() => failures().length > 0 || done() >= wanted, { timeoutMs: 60_000 });
  for (const failure of failures()) throw failure;
}

/** Transfers of 1 between two of so many accounts. */
export function transfersAmong(count: number): Pick {
  const one = (): number => Math.floor(Math.random() * count);
  return () => {
    const from = one();
    let to = one();
    while (to === from) to = one();
    return [`account-${from}`, transfer(`account-${to}`)];
  };
}

/** Deposits of 1, every second one on one of the `hot` first of so many accounts. */
export function depositsAmong(count: number, hot: number): Pick {
  let n = 0;
  return () => {
    const at = Math.floor(Math.random() * (n++ % 2 === 0 ? hot : count));
    return [`account-${at}`, deposit()];
  };
}

/** Gives so many accounts an amount each. */
export async function fund(store: BankStore, count: number, amount: number): Promise<void> {
  const rest = Array.from({ length: count }, (_, at) => at);
  const lane = async (): Promise<void> => {
    for (let at = rest.pop(); at !== undefined; at = rest.pop()) {
      await store.append(account(`account-${at}`), deposited(amount), {
        expectedVersion: 0,
        commitId: `fund-${at}`,
      });
    }
  };
  await Promise.all(Array.from({ length: 200 }, lane));
}

/** Reads the whole stream with a store of its own: see {@link Audit.check}. */
export async function auditActors(
  servers: string,
  stream: string,
  done: readonly Sent[],
  mayBeThere: (commitId: string) => boolean = () => false,
): Promise<Audit> {
  const store = await EventStore.connect<Bank>({ servers: servers.split(","), stream });
  try {
    const audit = await Audit.of(store);
    audit.check(done, (id) => id.startsWith("fund-") || mayBeThere(id));
    return audit;
  } finally {
    await store.close();
  }
}
