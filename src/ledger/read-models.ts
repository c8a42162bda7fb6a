import {
  defineProjection,
  type KeyTables,
  type Projection,
  type StateTables,
  table,
  type TableDefinition,
} from "../projection/definition.ts";
import type { StateKey } from "../projection/state-key.ts";
import type { EventMap } from "../store/event.ts";
import { type JournalEvent, type JournalEvents, storedEntry } from "./journal-events.ts";
import type { Captured, PostedEntry, PostingEntry } from "./journal-entry.ts";
import { checkAccount, checkAsset, checkName } from "./names.ts";
import { idOf } from "./state.ts";

/** What an account has of an asset, expired lots included. Amounts are in minor units. */
export interface LedgerBalance {
  readonly ledger: string;
  readonly account: string;
  readonly asset: string;
  /** All that was received less all that was paid: what is left of its lots, expired or not, less its debt. */
  readonly balance: bigint;
  /** What no lot covers. */
  readonly debt: bigint;
  readonly received: bigint;
  readonly paid: bigint;
  /** Number of the journal's entry that changed it last. */
  readonly version: number;
}

/** A lot of which something is left, expired or not. */
export interface LedgerLot {
  readonly ledger: string;
  readonly account: string;
  readonly asset: string;
  /** The transaction that made it. */
  readonly transactionId: string;
  /** Number of that transaction's entry in the journal, and of the lot in it. */
  readonly version: number;
  readonly index: number;
  readonly reference: string | null;
  readonly grantedAt: Date;
  /** null for never. */
  readonly expiresAt: Date | null;
  readonly amount: bigint;
  readonly remaining: bigint;
}

/** A hold that was neither captured nor released as a whole; it reserves nothing any more from `expiresAt` on. */
export interface LedgerHold {
  readonly ledger: string;
  readonly id: string;
  readonly account: string;
  readonly asset: string;
  readonly to: string;
  readonly remaining: bigint;
  readonly expiresAt: Date;
}

/** The tables of {@link ledgerBalances}. */
export type LedgerBalanceTables = {
  /** By {@link balanceKey}. */
  readonly balances: TableDefinition<LedgerBalance>;
  /** By {@link lotKey}. */
  readonly lots: TableDefinition<LedgerLot>;
  /** By `<ledger>/<hold id>`. */
  readonly holds: TableDefinition<LedgerHold>;
};

type Keys = KeyTables<LedgerBalanceTables>;
type Tables = StateTables<LedgerBalanceTables>;

/**
 * A projection of balances, lots and holds, for services that only read: in NATS KV any client of NATS sees them. They
 * lag behind the ledger, which never reads them. Nothing is written when a lot or a hold expires: what can be spent at an
 * instant is the balance less the lots that have expired then, less the holds that have not. Each transaction fits into
 * one unit of work: a ledger refuses larger ones.
 *
 * @param ledger of this ledger alone; its state is another one than that of all ledgers
 * @throws {InvalidArgumentError}
 * @example
 * const state = kvState({ bucket: "balances" });
 * await using projector = await startProjector(store, ledgerBalances(), { state });
 * const { tables } = await openTables(store, ledgerBalances(), { state });
 * const row = await tables.balances.get(balanceKey("main", "alice", "CREDIT/2"));
 */
export function ledgerBalances<Events extends EventMap = EventMap>(
  ledger?: string,
): Projection<Events, LedgerBalanceTables> {
  const only = ledger === undefined ? undefined : checkName("ledger", ledger);
  const projection = defineProjection<JournalEvents>()({
    name: "ledger-balances",
    version: 1,
    // a bucket with the state of one ledger is refused for another one
    policies: { "journal-entry": 1, ...(only === undefined ? {} : { [`ledger ${only}`]: 1 }) },
    events: { journal: ["TransactionPosted", "HoldPlaced", "HoldReleased"] },
    tables: {
      balances: table<LedgerBalance>(),
      lots: table<LedgerLot>(),
      holds: table<LedgerHold>(),
    },
    keys: (event, tables) =>
      only === undefined || event.actor.id === only ? keysOf(event, tables) : [],
    apply: (event, tables) => {
      if (only === undefined || event.actor.id === only) applyEntry(event, tables);
    },
  });
  // journals stand in the stream of a store whose types do not speak of them
  const any: Projection<EventMap, LedgerBalanceTables> = projection;
  return any;
}

/** Key of a balance: `<ledger>/<account>/<asset>`. @throws {InvalidArgumentError} */
export function balanceKey(ledger: string, account: string, asset: string): string {
  checkName("ledger", ledger);
  return keyOf(ledger, checkAccount("account", account), checkAsset("asset", asset));
}

/**
 * Key of a lot: `<ledger>/<account>/<asset>/<transaction's number>.<lot's number>`, so that the key of a balance and a
 * slash begin those of all its lots.
 *
 * @throws {InvalidArgumentError}
 */
export function lotKey(
  ledger: string,
  account: string,
  asset: string,
  { version, index }: Pick<LedgerLot, "version" | "index">,
): string {
  return `${balanceKey(ledger, account, asset)}/${version}.${index}`;
}

function keyOf(ledger: string, account: string, asset: string): string {
  return `${ledger}/${account}/${asset}`;
}

/** What an entry changes or ends is read first; lots and holds that it makes are not. */
function keysOf(event: JournalEvent, tables: Keys): StateKey[] {
  const ledger = event.actor.id;
  const entry = storedEntry(event);
  if (entry.kind === "hold-released") return [tables.holds.key(`${ledger}/${idOf(entry.hold)}`)];
  if (entry.kind !== "posted") return [];
  const keys: StateKey[] = [];
  if (entry.captures !== undefined)
    keys.push(tables.holds.key(`${ledger}/${idOf(entry.captures)}`));
  for (const { source, destination, asset, amount, drained = [] } of entry.postings) {
    if (amount === 0n) continue;
    const from = keyOf(ledger, source, asset);
    keys.push(tables.balances.key(from));
    keys.push(tables.balances.key(keyOf(ledger, destination, asset)));
    for (const { version, lotIndex } of drained)
      keys.push(tables.lots.key(`${from}/${version}.${lotIndex}`));
  }
  return keys;
}

function applyEntry(event: JournalEvent, tables: Tables): void {
  const ledger = event.actor.id;
  const entry = storedEntry(event);
  switch (entry.kind) {
    case "posted":
      if (entry.captures !== undefined) capture(ledger, entry.captures, tables);
      for (const posting of entry.postings)
        if (posting.amount > 0n) applyPosting(event, entry, posting, tables);
      break;
    case "hold-placed": {
      const { account, asset, to, amount: remaining } = entry;
      const id = idOf(event);
      const expiresAt = new Date(entry.expiresAt);
      const hold = { ledger, id, account, asset, to, remaining, expiresAt };
      tables.holds.put(`${ledger}/${id}`, hold);
      break;
    }
    case "hold-released":
      tables.holds.delete(`${ledger}/${idOf(entry.hold)}`);
      break;
    default:
  }
}

/** Reduces a hold, or ends it where nothing is left of it. */
function capture(ledger: string, captured: Captured, { holds }: Tables): void {
  const key = `${ledger}/${idOf(captured)}`;
  const hold = holds.get(key);
  const remaining = hold === undefined || captured.ended ? 0n : hold.remaining - captured.amount;
  if (hold === undefined || remaining <= 0n) holds.delete(key);
  else holds.put(key, { ...hold, remaining });
}

function applyPosting(
  event: JournalEvent,
  entry: PostedEntry,
  posting: PostingEntry,
  tables: Tables,
): void {
  const { version } = event;
  const ledger = event.actor.id;
  const { source, destination, asset, amount, borrowed, repaid } = posting;
  const from = keyOf(ledger, source, asset);
  const to = keyOf(ledger, destination, asset);
  drain(from, posting, tables);
  const payer = tables.balances.get(from) ?? nothing(ledger, source, asset);
  tables.balances.put(from, {
    ...payer,
    balance: payer.balance - amount,
    debt: payer.debt + borrowed,
    paid: payer.paid + amount,
    version,
  });
  const receiver = tables.balances.get(to) ?? nothing(ledger, destination, asset);
  tables.balances.put(to, {
    ...receiver,
    balance: receiver.balance + amount,
    debt: receiver.debt - repaid,
    received: receiver.received + amount,
    version,
  });
  for (const { lotIndex: index, amount: made, expiresAt } of posting.made ?? []) {
    tables.lots.put(`${to}/${version}.${index}`, {
      ledger,
      account: destination,
      asset,
      transactionId: idOf(event),
      version,
      index,
      reference: entry.reference ?? null,
      grantedAt: new Date(entry.at),
      expiresAt: expiresAt === null ? null : new Date(expiresAt),
      amount: made,
      remaining: made,
    });
  }
}

/** Takes out of lots what was drained, and removes those of which nothing is left. */
function drain(from: string, { drained = [] }: PostingEntry, { lots }: Tables): void {
  for (const { version, lotIndex, amount } of drained) {
    const key = `${from}/${version}.${lotIndex}`;
    const lot = lots.get(key);
    if (lot === undefined || lot.remaining <= amount) lots.delete(key);
    else lots.put(key, { ...lot, remaining: lot.remaining - amount });
  }
}

function nothing(ledger: string, account: string, asset: string): LedgerBalance {
  const none = { balance: 0n, debt: 0n, received: 0n, paid: 0n };
  return { ledger, account, asset, ...none, version: 0 };
}
