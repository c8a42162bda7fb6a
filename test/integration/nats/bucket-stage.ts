import { connect, type NatsConnection } from "@nats-io/transport-node";
import { Bucket, type BucketEntry, type BucketOptions } from "../../../src/nats/bucket.ts";
import { borrowConnection, type Connection } from "../../../src/nats/connection.ts";
import { freshStream } from "../../support/server.ts";

/** A connection, and buckets on it. */
export interface BucketStage {
  readonly nc: NatsConnection;
  readonly connection: Connection;
  /** Opens a bucket, by default one that no other test uses. */
  open(options?: Partial<BucketOptions>): Promise<Bucket>;
  close(): Promise<void>;
}

/** For reads of these tests. */
export const bounds = { timeoutMs: 5_000 };

export async function openBucketStage(url: string): Promise<BucketStage> {
  const nc = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  const connection = borrowConnection(nc, "_INBOX");
  return {
    nc,
    connection,
    open: (options) =>
      Bucket.open(connection, { name: freshStream("B"), timeoutMs: 5_000, ...options }),
    async close() {
      await connection.close();
      await nc.close();
    },
  };
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

/** The value of an entry as text; undefined where it is deleted or not there. */
export function textOf(entry: BucketEntry | undefined): string | undefined {
  return entry === undefined || entry.deleted ? undefined : Buffer.from(entry.data).toString();
}

/** Keys and values of a fetch or a reading, in its order. */
export function textsOf(entries: Iterable<BucketEntry>): [key: string, text: string | undefined][] {
  return [...entries].map((entry) => [entry.key, textOf(entry)]);
}

/** Writes a key and tells where it stands. */
export async function write(
  bucket: Bucket,
  key: string,
  text: string | undefined,
): Promise<number> {
  const data = text === undefined ? undefined : bytes(text);
  const outcome = await bucket.put({ key, data }, undefined, 5_000);
  if (outcome.kind !== "stored") throw new Error(`put: ${JSON.stringify(outcome)}`);
  return outcome.sequence;
}
