import { onTestFinished } from "vitest";
import { EventStore } from "../../../src/index.ts";
import { ledgerChannels, type LedgerSnapshotMessage } from "../../../src/ledger/diagnostics.ts";
import { type LedgerCheckpoint, SnapshotStore } from "../../../src/ledger/snapshot-store.ts";
import { Bucket, type BucketEntry } from "../../../src/nats/bucket.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import { freshStream, natsUrl } from "../../support/server.ts";

/** Never aborts. */
export const { signal } = new AbortController();

const TIMEOUT_MS = 5_000;

/** A bucket name that no other test uses. */
export function freshBucket(): string {
  return freshStream("SNAPSHOTS");
}

/** Another process's access to the snapshots of the ledger `main`. */
export async function openSnapshots(
  bucket: string,
  options: {
    readonly url?: string;
    readonly ledger?: string;
    readonly everyEntries?: number;
    readonly requestTimeoutMs?: number;
  } = {},
): Promise<SnapshotStore> {
  const {
    url = natsUrl(),
    ledger = "main",
    everyEntries = 1,
    requestTimeoutMs = TIMEOUT_MS,
  } = options;
  const store = await openStore(url);
  return SnapshotStore.open(store, { bucket, ledger, everyEntries, requestTimeoutMs });
}

/** The bucket itself, as the snapshots have it. */
export async function openRaw(name: string): Promise<Bucket> {
  const { connection } = internalsOf(await openStore(natsUrl())).context;
  return Bucket.open(connection, { name, timeoutMs: TIMEOUT_MS });
}

async function openStore(url: string): Promise<EventStore> {
  const store = await EventStore.connect({ servers: url, stream: freshStream() });
  onTestFinished(() => store.close());
  return store;
}

/** What stands at a key; it must be there. */
export async function entryAt(bucket: Bucket, key: string): Promise<BucketEntry> {
  const entry = await bucket.leaderGet(key, { timeoutMs: TIMEOUT_MS });
  if (entry === undefined) throw new Error(`nothing stands at ${key}`);
  return entry;
}

const HEADERS = ["Annal-Snapshot", "Annal-Checksum", "Annal-Parts"];

/** Writes an entry anew, changed; headers stay as they are where they are not given. */
export async function rewrite(
  name: string,
  key: string,
  change: (data: Uint8Array) => Uint8Array | undefined,
  changed: Readonly<Record<string, string>> = {},
): Promise<void> {
  const bucket = await openRaw(name);
  const { data, headers: found } = await entryAt(bucket, key);
  const headers: [string, string][] = [];
  for (const header of HEADERS) {
    const value = changed[header] ?? found.get(header);
    if (value !== undefined) headers.push([header, value]);
  }
  const outcome = await bucket.put({ key, data: change(data), headers }, undefined, TIMEOUT_MS);
  if (outcome.kind !== "stored") throw new Error(`rewriting ${key}: ${outcome.kind}`);
}

/** A checkpoint of a journal in which version and position are the same. */
export function at(version: number, history = "c"): LedgerCheckpoint {
  return { version, position: version, commitId: `${history}${version}`, chain: `0a${version}` };
}

/** A state of so many chunks that says in each byte how far it is. */
export function stateAt(version: number, chunks: number, chunkBytes = 64): Uint8Array[] {
  return Array.from({ length: chunks }, () => new Uint8Array(chunkBytes).fill(version % 256));
}

/** What became of the snapshots of a ledger while the test runs. Ledgers of other tests must have other names. */
export function listen(ledger: string): {
  readonly messages: LedgerSnapshotMessage[];
  readonly what: () => string[];
} {
  const messages: LedgerSnapshotMessage[] = [];
  const onMessage = (message: LedgerSnapshotMessage): void => {
    if (message.ledger === ledger) messages.push(message);
  };
  ledgerChannels.snapshot.subscribe(onMessage);
  onTestFinished(() => void ledgerChannels.snapshot.unsubscribe(onMessage));
  return { messages, what: () => messages.map(({ what }) => what) };
}
