import type { MsgHdrs } from "@nats-io/nats-core";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { onTestFinished } from "vitest";
import {
  checkLedger,
  type CommandResult,
  type Ledger,
  type LedgerCheckReport,
  type Ledgers,
  type LedgersOptions,
  type StoredLedgerCheckOptions,
} from "../../../src/ledger/index.ts";
import { decodeState, encodeState } from "../../../src/ledger/state-image.ts";
import type { LedgerState } from "../../../src/ledger/state.ts";
import { Bucket } from "../../../src/nats/bucket.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import { checksumOf } from "../../../src/projection/snapshot-manifest.ts";
import { natsUrl } from "../../support/server.ts";
import { CREDIT, day, LedgerStage } from "./ledger-stage.ts";
import { entryAt } from "./snapshot-store-stage.ts";

const TIMEOUT_MS = 10_000;

/** What became of the commands of {@link fill}. */
export type Steps = Readonly<Record<StepName, CommandResult>>;

type StepName =
  | "g1"
  | "g2"
  | "transfer"
  | "spend"
  | "sum"
  | "hold"
  | "other"
  | "capture"
  | "release"
  | "sent"
  | "revert"
  | "carol"
  | "said"
  | "last";

/** A ledger in whose journal stand entries of all kinds, each in a commit of its own. */
export interface CheckStage {
  readonly stage: LedgerStage;
  readonly ledgers: Ledgers;
  readonly ledger: Ledger;
  readonly steps: Steps;
}

/** Opens and fills a ledger. */
export async function filled(options: LedgersOptions = {}): Promise<CheckStage> {
  const stage = new LedgerStage();
  onTestFinished(() => stage[Symbol.asyncDispose]());
  const ledgers = await stage.ledgers({ snapshotEveryEntries: 1, refreshMs: 0, ...options });
  await ledgers.create("main", { bucket: "eu" });
  const ledger = await ledgers.open("main");
  return { stage, ledgers, ledger, steps: await fill(ledger) };
}

/** Entries of all kinds. */
async function fill(ledger: Ledger): Promise<Steps> {
  const asset = CREDIT;
  await ledger.openAccount("sum", { lots: false });
  await ledger.openAccount("deep", { overdraft: 100n });
  const until = { asset, expiresAt: day(300) };
  const first = { to: "alice", asset, amount: 100n, expiresAt: day(200), reference: "g1" };
  const g1 = await ledger.grant(first, { idempotencyKey: "k1" });
  const g2 = await ledger.grant({ to: "alice", asset, amount: 50n, reference: "g2" });
  const transfer = await ledger.transfer({
    from: "alice",
    asset,
    to: [{ account: "bob", amount: 30n }],
  });
  const spend = await ledger.spend({ from: "deep", asset, amount: 40n });
  const sum = await ledger.grant({ to: "sum", asset, amount: 7n });
  const hold = await ledger.hold({ from: "alice", amount: 20n, to: "shop", ...until });
  const other = await ledger.hold({ from: "bob", amount: 5n, reference: "h2", ...until });
  const capture = await ledger.capture(hold.id, 7n, { final: false });
  const release = await ledger.release(other.id);
  const sent = await ledger.transfer({
    from: "bob",
    asset,
    to: [{ account: "carol", amount: 10n }],
  });
  const revert = await ledger.revert(sent.id);
  const carol = await ledger.setMetadata({ account: "carol" }, { name: "Carol" });
  const said = await ledger.setMetadata({ transaction: sent.id }, { why: "by mistake" });
  await ledger.grant({ to: "bob", asset: "EUR/2", amount: 1n });
  const last = await ledger.grant({ to: "dora", asset, amount: 3n });
  const before = { g1, g2, transfer, spend, sum, hold, other, capture };
  return { ...before, release, sent, revert, carol, said, last };
}

/** What is stored of the ledger `main` in a stream, checked by a process that has not opened it. */
export async function checkStored(
  stage: LedgerStage,
  options: StoredLedgerCheckOptions = {},
): Promise<LedgerCheckReport> {
  return checkLedger(await stage.store(), "main", options);
}

/** A message of the stream, as it is to be stored again. */
export interface CopiedMessage {
  readonly seq: number;
  readonly subject: string;
  readonly header: MsgHdrs;
  readonly data: Uint8Array;
}

/** Makes the stream anew, as somebody can who owns the server: its messages changed, some deleted, others added. */
export async function rewriteStream(
  { stream }: LedgerStage,
  change: (message: CopiedMessage) => CopiedMessage | "deleted" | undefined,
  added: (last: CopiedMessage) => readonly CopiedMessage[] = () => [],
): Promise<void> {
  const nc = await connect({ servers: natsUrl() });
  const manager = await jetstreamManager(nc);
  const { config, state } = await manager.streams.info(stream);
  const messages: CopiedMessage[] = [];
  for (let seq = 1; seq <= state.last_seq; seq++) {
    const message = await manager.streams.getMessage(stream, { seq });
    if (message === null) throw new Error(`nothing stands at ${seq}`);
    const { subject, header, data } = message;
    messages.push({ seq, subject, header, data });
  }
  await manager.streams.delete(stream);
  await manager.streams.add({ ...config, deny_delete: false });
  const deleted: number[] = [];
  for (const message of messages) {
    const changed = change(message);
    if (changed === undefined) continue;
    if (changed === "deleted") deleted.push(message.seq);
    await publish(changed === "deleted" ? message : changed);
  }
  const last = messages.at(-1);
  for (const message of last === undefined ? [] : added(last)) await publish(message);
  for (const seq of deleted) await manager.streams.deleteMessage(stream, seq);
  await manager.streams.update(stream, { deny_delete: true });
  await nc.close();

  async function publish({ subject, data, header }: CopiedMessage): Promise<void> {
    // of an atomic batch, whose messages are stored one by one here
    for (const name of header.keys()) if (name.startsWith("Nats-Batch")) header.delete(name);
    await jetstream(nc).publish(subject, data, { headers: header });
  }
}

/** The same bytes but for one. */
export function flipped(data: Uint8Array, at: number): Uint8Array {
  const bytes = Uint8Array.from(data);
  const place = at < 0 ? bytes.length + at : at;
  bytes.set([(bytes[place] ?? 0) ^ 1], place);
  return bytes;
}

/** The bucket of the snapshots. */
export async function rawBucket(stage: LedgerStage): Promise<Bucket> {
  const { connection } = internalsOf(await stage.store()).context;
  return Bucket.open(connection, { name: `${stage.stream}_ledgers`, timeoutMs: TIMEOUT_MS });
}

/** Keys of the chunks of the snapshot that stands. */
export async function chunkKeys(bucket: Bucket): Promise<string[]> {
  const { data } = await entryAt(bucket, "main.manifest");
  const { slot, chunks }: { slot: string; chunks: number } = JSON.parse(
    Buffer.from(data).toString(),
  );
  return Array.from({ length: chunks }, (_, chunk) => `main.${slot}.${chunk}.0`);
}

/** Writes an entry anew, changed or deleted; its headers stay as they are, unless its checksum is to be right. */
export async function rewriteEntry(
  bucket: Bucket,
  key: string,
  change: (data: Uint8Array) => Uint8Array | undefined,
  checksum: "as it was" | "right" = "as it was",
): Promise<void> {
  const { data, headers: found } = await entryAt(bucket, key);
  const changed = change(data);
  const headers = ["Annal-Snapshot", "Annal-Checksum", "Annal-Parts"].flatMap(
    (name): [string, string][] => {
      const value = found.get(name);
      if (value === undefined) return [];
      const isWrong = name === "Annal-Checksum" && checksum === "right" && changed !== undefined;
      return [[name, isWrong ? checksumOf(changed) : value]];
    },
  );
  const outcome = await bucket.put({ key, data: changed, headers }, undefined, TIMEOUT_MS);
  if (outcome.kind !== "stored") throw new Error(`rewriting ${key}: ${outcome.kind}`);
}

/** Writes the snapshot anew with another state in it, all checksums right. */
export async function rewriteSnapshot(
  stage: LedgerStage,
  damage: (state: LedgerState) => void,
): Promise<void> {
  const bucket = await rawBucket(stage);
  const keys = await chunkKeys(bucket);
  const chunks = await Promise.all(keys.map(async (key) => (await entryAt(bucket, key)).data));
  const state = await decodeState(chunks);
  damage(state);
  const changed = [...encodeState(state)];
  if (changed.length !== chunks.length) throw new Error("the snapshot has other chunks now");
  for (const [at, data] of changed.entries())
    await rewriteEntry(bucket, keys[at] ?? "", () => data, "right");
  const bytes = changed.reduce((sum, { length }) => sum + length, 0);
  const withBytes = (data: Uint8Array): Uint8Array => {
    const manifest: object = JSON.parse(Buffer.from(data).toString());
    return Buffer.from(JSON.stringify({ ...manifest, bytes }));
  };
  await rewriteEntry(bucket, "main.manifest", withBytes, "right");
}
