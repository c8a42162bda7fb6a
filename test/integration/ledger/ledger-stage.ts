import { inspect } from "node:util";
import { EventStore, type ConnectOptions } from "../../../src/index.ts";
import {
  type Ledger,
  Ledgers,
  type LedgersOptions,
  type NewLedgerSettings,
  type Transaction,
  WORLD,
} from "../../../src/ledger/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { startWire, type Wire } from "../../support/wire.ts";

export const CREDIT = "CREDIT/2";

/** Start of a day, counted from the first of January 2026; the clocks of the stage stand at {@link TODAY} at first. */
export function day(number: number): Date {
  return new Date(Date.UTC(2026, 0, 1 + number));
}

export const TODAY = 100;

/** Milliseconds after an instant. */
export function after(instant: Date, ms: number): Date {
  return new Date(instant.getTime() + ms);
}

/** A stream of its own with the ledger `main`, and as many processes on it as a test wants: each has its own connection. */
export class LedgerStage implements AsyncDisposable {
  readonly stream = freshStream("LEDGER");
  readonly url: string;
  /** What the clock of all processes says, unless they have their own. */
  nowMs: number = day(TODAY).getTime();
  readonly #opened: { close(): Promise<void> }[] = [];

  constructor(url: string = natsUrl()) {
    this.url = url;
  }

  /** The ledger `main`, created with these settings, opened by a process of its own. */
  static async create(
    settings: NewLedgerSettings = {},
    options: LedgersOptions = {},
  ): Promise<{ readonly stage: LedgerStage; readonly ledger: Ledger }> {
    const stage = new LedgerStage();
    const ledgers = await stage.ledgers(options);
    await ledgers.create("main", { bucket: "eu", settings });
    return { stage, ledger: await ledgers.open("main") };
  }

  /** Ledgers of another process; with the stage's clock, however far that is off the server's. */
  async ledgers(
    options: LedgersOptions = {},
    storeOptions: Partial<ConnectOptions> = {},
  ): Promise<Ledgers> {
    const ledgers = await Ledgers.open(await this.store(storeOptions), {
      now: () => this.nowMs,
      maxClockSkewMs: Number.MAX_SAFE_INTEGER,
      follow: false,
      ...options,
    });
    this.#opened.push(ledgers);
    return ledgers;
  }

  /** The ledger `main` as another process has it, built from the journal alone. */
  async other(
    options: LedgersOptions = {},
    storeOptions: Partial<ConnectOptions> = {},
  ): Promise<Ledger> {
    const ledgers = await this.ledgers({ snapshotBucket: false, ...options }, storeOptions);
    return ledgers.open("main");
  }

  async store(options: Partial<ConnectOptions> = {}): Promise<EventStore> {
    const { url: servers, stream } = this;
    const store = await EventStore.connect({ servers, stream, reconnectTimeWait: 20, ...options });
    this.#opened.push(store);
    return store;
  }

  /** A wire to the server, for processes that connect to its URL. */
  async wire(): Promise<Wire> {
    const wire = await startWire(this.url);
    this.#opened.push(wire);
    return wire;
  }

  /** Subject of the journal of `main`. */
  get journal(): string {
    return `${this.stream.toLowerCase()}.journal.main`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#opened.reverse().map((each) => each.close()));
  }
}

/** What a promise rejects with; fails where it resolves. */
export async function refusal(work: Promise<unknown>): Promise<unknown> {
  const [outcome] = await Promise.allSettled([work]);
  if (outcome.status === "rejected") return outcome.reason;
  throw new Error(`expected a refusal, got ${inspect(outcome.value)}`);
}

/** What is there; fails where nothing is. */
export function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected a value");
  return value;
}

/** The transaction that a result speaks of. */
export async function transactionOf(
  ledger: Ledger,
  { id }: { readonly id: string },
): Promise<Transaction> {
  return there(await ledger.transaction(id));
}

/** What a posting drained, as `<transaction>.<lot>:<amount>`, in its order. */
export function drainedBy({ postings }: Transaction, posting = 0): readonly string[] | undefined {
  return postings[posting]?.drained?.map(
    ({ transactionVersion, lotIndex, amount }) => `${transactionVersion}.${lotIndex}:${amount}`,
  );
}

/** Lots of an account in short: what they were made with, what is left, and when they expire. */
export async function lotsOf(
  ledger: Ledger,
  account: string,
  asset = CREDIT,
): Promise<readonly (readonly [index: number, remaining: bigint, expiresAt: Date | null])[]> {
  const lots = await ledger.lots(account, asset);
  return lots.map(({ index, remaining, expiresAt }) => [index, remaining, expiresAt]);
}

/** All transactions, page by page. */
export async function allTransactions(ledger: Ledger, limit = 100): Promise<Transaction[]> {
  const all: Transaction[] = [];
  let after: string | undefined;
  do {
    const { items, cursor } = await ledger.transactions({ after, limit });
    all.push(...items);
    after = cursor;
  } while (after !== undefined);
  return all;
}

/** Everything that a ledger says of itself, as text: equal for equal states. */
export async function everythingOf(
  ledger: Ledger,
  accounts: readonly string[],
  assets: readonly string[] = [CREDIT],
): Promise<string> {
  const said: unknown[] = [ledger.version];
  for (const account of [...accounts, WORLD]) {
    said.push(await ledger.account(account), await ledger.holds(account));
    for (const asset of assets) {
      said.push(account, asset, await ledger.balance(account, asset));
      said.push(await ledger.available(account, asset), await ledger.details(account, asset));
      said.push(
        await ledger.lots(account, asset),
        await ledger.lots(account, asset, { live: true }),
      );
    }
    said.push((await ledger.transactions({ account, limit: 1_000 })).items);
  }
  for (const asset of assets) said.push(await ledger.balances({ asset, limit: 10_000 }));
  said.push(await ledger.trialBalance(), await allTransactions(ledger));
  return inspect(said, { depth: 20, maxArrayLength: null, maxStringLength: null, sorted: true });
}
