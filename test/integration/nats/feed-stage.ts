import { jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { borrowConnection, type Connection } from "../../../src/nats/connection.ts";
import type { Feed } from "../../../src/nats/feed.ts";
import { ensureStream } from "../../../src/nats/stream.ts";
import { freshStream } from "../../support/server.ts";

/** A connection with a stream of its own. */
export interface FeedStage {
  readonly nc: NatsConnection;
  readonly connection: Connection;
  readonly stream: string;
  /** Stores messages `from` to `to` on `<stream>.<kind>.<number>`, each with its number as payload. */
  store(from: number, to: number, kind?: string): Promise<void>;
  /** Names of the stream's consumers, with what they delivered. */
  consumers(): Promise<{ readonly name: string; readonly delivered: number }[]>;
  close(): Promise<void>;
}

export async function openStage(url: string): Promise<FeedStage> {
  const nc = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  const connection = borrowConnection(nc, "_INBOX");
  const stream = freshStream("FEED");
  await ensureStream(nc, { name: stream, prefix: stream, timeoutMs: 5_000 });
  return {
    nc,
    connection,
    stream,
    async store(from, to, kind = "a") {
      for (let next = from; next <= to; ) {
        const acks: Promise<unknown>[] = [];
        for (; next <= to && acks.length < 500; next += 1) {
          acks.push(nc.request(`${stream}.${kind}.${next}`, String(next), { timeout: 10_000 }));
        }
        await Promise.all(acks);
      }
    },
    async consumers() {
      const manager = await jetstreamManager(nc, { checkAPI: false });
      const found: { name: string; delivered: number }[] = [];
      for await (const info of manager.consumers.list(stream)) {
        found.push({ name: info.name, delivered: info.delivered.consumer_seq });
      }
      return found;
    },
    async close() {
      await connection.close();
      await nc.close();
    },
  };
}

/** Takes batches until one reaches that sequence; tells the sequences of all their messages. */
export async function readUntil(feed: Feed, sequence: number): Promise<number[]> {
  const sequences: number[] = [];
  while ((sequences.at(-1) ?? 0) < sequence) {
    const batch = await feed.next();
    if (batch === undefined) break;
    for (const message of batch) sequences.push(message.sequence);
  }
  return sequences;
}

/** The whole numbers from `from` to `to`. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
