import { connect, headers, type JetStreamManager, type KV, type NatsConnection } from "nats";
import { onTestFinished } from "vitest";
import type { EventStore } from "../../../src/index.ts";
import {
  memoryState,
  type MemoryStateOptions,
  projectionChannels,
  type SnapshotMessage,
} from "../../../src/projection/index.ts";
import { natsUrl } from "../../support/server.ts";
import type { Script, Step } from "./stage.ts";

/** What projectors told while the test runs. */
export interface Heard {
  readonly snapshots: SnapshotMessage[];
  /** Events that were applied, by all projectors of the name. */
  readonly events: () => number;
  /** What became of snapshots, in order. */
  readonly what: () => string[];
}

/** Listens to the projectors of a name, which no other test uses. */
export function listen(projection: string): Heard {
  const snapshots: SnapshotMessage[] = [];
  let events = 0;
  const { snapshot, unit } = projectionChannels;
  const onSnapshot = (message: SnapshotMessage): void => {
    if (message.projection === projection) snapshots.push(message);
  };
  const onUnit = (message: { projection: string; events: number }): void => {
    if (message.projection === projection) events += message.events;
  };
  snapshot.subscribe(onSnapshot);
  unit.subscribe(onUnit);
  onTestFinished(() => {
    snapshot.unsubscribe(onSnapshot);
    unit.unsubscribe(onUnit);
  });
  return { snapshots, events: () => events, what: () => snapshots.map(({ what }) => what) };
}

export function inMemory(bucket: string, everyEvents = 100): MemoryStateOptions {
  return memoryState({ snapshot: { bucket, everyEvents, requestTimeoutMs: 1_000 } });
}

async function connectClient(): Promise<NatsConnection> {
  const nc = await connect({ servers: natsUrl() });
  onTestFinished(() => nc.close());
  return nc;
}

/** What any client of NATS sees of a bucket. */
export async function openKv(bucket: string): Promise<KV> {
  const nc = await connectClient();
  return nc.jetstream().views.kv(bucket, { bindOnly: true });
}

/** A bucket that takes small entries only, so that a snapshot has many chunks and batches. */
export async function makeNarrowBucket(bucket: string): Promise<void> {
  const nc = await connectClient();
  await nc.jetstream().views.kv(bucket, { maxValueSize: 800 });
}

export async function openManager(): Promise<JetStreamManager> {
  return (await connectClient()).jetstreamManager();
}

/** Writes what a client would who changes bytes of an entry and leaves its headers as they are. */
export async function rewrite(
  bucket: string,
  key: string,
  change: (data: Uint8Array) => Uint8Array,
): Promise<void> {
  const nc = await connectClient();
  const subject = `$KV.${bucket}.${key}`;
  const { streams } = await nc.jetstreamManager();
  const stored = await streams.getMessage(`KV_${bucket}`, { last_by_subj: subject });
  const same = headers();
  for (const name of ["Annal-Snapshot", "Annal-Checksum"]) {
    if (stored.header.has(name)) same.set(name, stored.header.get(name));
  }
  await nc.jetstream().publish(subject, change(stored.data), { headers: same });
}

export async function append(store: EventStore<Script>, ...steps: Step[]): Promise<number> {
  const { position } = await store.append({ type: "script", id: "one" }, steps, {
    expectedVersion: "any",
  });
  return position;
}

export const added = (key: string, n: number): Step => ({ type: "Added", data: { key, n } });
export const removed = (key: string): Step => ({ type: "Removed", data: { key } });

/** Steps that add to so many keys. */
export function manyKeys(count: number, n = 1): Step[] {
  return Array.from({ length: count }, (_, at) => added(`key number ${at}`, n));
}
