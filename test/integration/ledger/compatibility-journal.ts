import { headers } from "@nats-io/nats-core";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { onTestFinished } from "vitest";
import { type EventStore, toJson } from "../../../src/index.ts";
import type { Ledger } from "../../../src/ledger/index.ts";
import { Journal } from "../../../src/ledger/journal.ts";
import { applyCommit } from "../../../src/ledger/journal-state.ts";
import { JOURNAL_START, LedgerState } from "../../../src/ledger/state.ts";
import { encodeState } from "../../../src/ledger/state-image.ts";
import { natsUrl } from "../../support/server.ts";
import { after, CREDIT, day, type LedgerStage } from "./ledger-stage.ts";

/** What one release has stored of a ledger. */
export interface KeptJournal {
  /** All messages of the stream, from position 1 on. */
  readonly messages: readonly KeptMessage[];
  readonly state: Described;
  /** Chunks of the state's image, in base64. */
  readonly image: readonly string[];
}

/** A state as plain JSON. */
export interface Described {
  readonly point: unknown;
  readonly tables: unknown;
  readonly [what: string]: unknown;
}

/** A message of a stream; the subject without the stream's prefix, the payload in base64. */
export interface KeptMessage {
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: string;
}

const GOLD = "GOLD";
const HUGE = 2n ** 70n;

/** Some 60 entries of all kinds, the same whoever runs it when the stage's clock says the same. */
export async function writeJournal(stage: LedgerStage, ledger: Ledger): Promise<void> {
  await openAccounts(ledger);
  await moveLots(stage, ledger);
  await holdAndRevert(stage, ledger);
  await postSeveral(stage, ledger);
}

async function openAccounts(ledger: Ledger): Promise<void> {
  await ledger.openAccount("till", { lots: false }, { idempotencyKey: "open-till" });
  await ledger.openAccount("till:low", { lots: false, overdraft: 50n });
  await ledger.openAccount("deep", { overdraft: 300n });
  await ledger.openAccount("free", { overdraft: "unlimited" });
  await ledger.openAccount("mint", { issuer: true });
  await ledger.openAccount("frozen", { frozen: true });
  await ledger.openAccount("gone", { closed: true });
  await ledger.setMetadata(
    { account: "alice" },
    { name: "Alice Ω", tags: ["a", 1n, null], age: 7 },
  );
  await ledger.setMetadata({ account: "alice" }, { since: day(1), raw: Uint8Array.of(1, 2, 255) });
  await ledger.deleteMetadata({ account: "alice" }, ["age", "never"]);
}

async function moveLots(stage: LedgerStage, ledger: Ledger): Promise<void> {
  const asset = CREDIT;
  const grant = { to: "alice", asset };
  for (let n = 1; n <= 6; n++) {
    const expiresAt = n % 3 === 0 ? null : day(100 + n * 10);
    const reference = `grant-${n}`;
    const said = { amount: BigInt(n * 100), expiresAt, reference, metadata: { n } };
    await ledger.grant({ ...grant, ...said }, { idempotencyKey: `key-${n}` });
    stage.nowMs += 1_000;
  }
  await ledger.grant({ ...grant, amount: 55n, at: day(50), expiresAt: day(101) });
  await ledger.grant({ to: "alice", asset: GOLD, amount: HUGE, from: "mint" });
  await ledger.grant({ to: "till", asset, amount: 1_000n });
  await ledger.spend({ from: "alice", asset, amount: 130n, reference: "été \u{1F600}" });
  await ledger.spend({ from: "alice", asset: GOLD, amount: HUGE - 5n });
  await ledger.spend({ from: "deep", asset, amount: 200n });
  await ledger.spend({ from: "till:low", asset, amount: 20n });
  await ledger.grant({ to: "deep", asset, amount: 250n });
  const to = [
    { account: "bob", amount: 200n },
    { account: "carol", amount: 70n, expiresAt: day(105) },
    { account: "till", amount: 3n },
  ];
  await ledger.transfer({ from: "alice", asset, to });
  stage.nowMs = day(111).getTime();
  await ledger.spend({ from: "bob", asset, amount: 5_000n }, { onShortfall: "partial" });
  await ledger.spend({ from: "nobody", asset, amount: 1n }, { onShortfall: "partial" });
  await ledger.spend({ from: "alice", asset, amount: 9n }, { dryRun: true });
  await ledger.spend({ from: "free", asset, amount: 77n, at: day(90) });
}

async function holdAndRevert(stage: LedgerStage, ledger: Ledger): Promise<void> {
  const asset = CREDIT;
  const until = { asset, expiresAt: day(200) };
  const kept = await ledger.hold({ from: "alice", amount: 60n, to: "shop", ...until });
  const taken = await ledger.hold({ from: "alice", amount: 40n, reference: "hold-2", ...until });
  const freed = await ledger.hold({
    from: "till",
    amount: 30n,
    metadata: { why: "trial" },
    ...until,
  });
  await ledger.hold({ from: "alice", asset, amount: 8n, expiresAt: after(day(111), 5_000) });
  await ledger.capture(kept.id, 25n, { final: false, reference: "capture-1" });
  await ledger.capture(taken.id, undefined, { to: "bank", expiresAt: day(300) });
  await ledger.release(freed.id, { idempotencyKey: "release-1" });
  stage.nowMs = day(112).getTime();
  const sent = await ledger.transfer({
    from: "alice",
    asset,
    to: [{ account: "dora", amount: 44n }],
  });
  await ledger.spend({ from: "dora", asset, amount: 40n });
  await ledger.revert(sent.id, { force: true, reference: "back" });
  const late = await ledger.grant({ to: "eve", asset, amount: 12n, at: day(80) });
  await ledger.revert(late.id, { atEffectiveDate: true });
  await ledger.setMetadata({ transaction: sent.id }, { note: "reverted" });
  await ledger.setMetadata({ transaction: sent.id }, { more: [1, 2] });
  await ledger.deleteMetadata({ transaction: sent.id }, ["note"]);
  await ledger.openAccount("deep", { overdraft: 0n, frozen: false });
}

async function postSeveral(stage: LedgerStage, ledger: Ledger): Promise<void> {
  const one = { source: "world", destination: "fred", asset: CREDIT };
  const item = (amount: bigint) => ({
    postings: [{ ...one, amount }],
    idempotencyKey: `many-${amount}`,
  });
  await ledger.postMany([item(1n), item(2n), item(3n)], { atomic: true });
  const postings = [
    { source: "alice", destination: "till", asset: CREDIT, amount: 10n },
    { source: "mint", destination: "alice", asset: "EUR/2", amount: 99n },
    { source: "till", destination: "greta", asset: CREDIT, amount: 10n, expiresAt: day(150) },
    { source: "world", destination: "greta", asset: GOLD, amount: HUGE },
  ];
  await ledger.post({ postings, reference: "several" });
  stage.nowMs += 1;
  // the same again: nothing is written
  await ledger.post({ postings, reference: "several" });
  for (let n = 1; n <= 12; n++)
    await ledger.grant({ to: `n:${n}`, asset: GOLD, amount: BigInt(n) });
}

/** What is stored of the ledger `main`. */
export async function keepJournal(store: EventStore): Promise<KeptJournal> {
  const nc = await connected();
  const manager = await jetstreamManager(nc);
  const { state: of } = await manager.streams.info(store.stream);
  const messages: KeptMessage[] = [];
  for (let seq = 1; seq <= of.last_seq; seq++) {
    const message = await manager.streams.getMessage(store.stream, { seq });
    if (message === null) throw new Error(`nothing stands at ${seq}`);
    const kept: Record<string, string> = {};
    // of an atomic batch, whose messages are stored one by one when they are replayed
    for (const name of message.header.keys())
      if (!name.startsWith("Nats-Batch")) kept[name] = message.header.get(name);
    const subject = message.subject.slice(store.stream.length + 1);
    messages.push({
      subject,
      headers: kept,
      payload: Buffer.from(message.data).toString("base64"),
    });
  }
  const state = await stateOf(store);
  const image = [...encodeState(state)].map((chunk) => Buffer.from(chunk).toString("base64"));
  return { messages, state: describeState(state), image };
}

/** Stores the messages in a stream, as they stood in theirs. */
export async function replay(stream: string, messages: readonly KeptMessage[]): Promise<void> {
  const nc = await connected();
  for (const { subject, headers: kept, payload } of messages) {
    const header = headers();
    for (const [name, value] of Object.entries(kept)) header.set(name, value);
    const data = Buffer.from(payload, "base64");
    await jetstream(nc).publish(`${stream.toLowerCase()}.${subject}`, data, { headers: header });
  }
}

/** The state that the journal of `main` leads to. */
export async function stateOf(store: EventStore): Promise<LedgerState> {
  const state = new LedgerState();
  for await (const commit of new Journal(store, "main").readOn(JOURNAL_START))
    applyCommit(state, commit);
  return state;
}

/** All of a state as plain JSON; what differs from run to run is in `point` and `tables`. */
export function describeState(state: LedgerState): Described {
  const { point, opened, keys, references, confirmedAt } = state;
  const { seeds, ...begun } = { seeds: undefined, ...opened };
  const bytes = (chunks: Iterable<Uint8Array>): string =>
    Buffer.concat([...chunks]).toString("base64");
  const accounts = Array.from(
    state.books.accounts.values(),
    ({ name, confirmed, places, holdings }) => ({
      name,
      ...confirmed,
      places: [...(places?.positions() ?? [])],
      holdings: holdings.map(({ asset, confirmed: holding }) => ({
        asset,
        balance: holding?.balance,
        debt: holding?.debt,
        lots: holding?.lots && [...holding.lots],
        holds: holding?.holds,
      })),
    }),
  );
  const described: unknown = JSON.parse(
    toJson({
      begun,
      version: point.version,
      confirmedAt,
      accounts: accounts.sort((a, b) => (a.name < b.name ? -1 : 1)),
      holds: [...state.holds],
      reverted: [...state.reverted],
      annotated: [...state.annotated],
      counts: { keys: keys.size, references: references.size },
    }),
  );
  return {
    point,
    tables: { seeds, keys: bytes(keys.encode()), references: bytes(references.encode()) },
    ...(described as object),
  };
}

async function connected(): Promise<NatsConnection> {
  const nc = await connect({ servers: natsUrl() });
  onTestFinished(() => nc.close());
  return nc;
}
