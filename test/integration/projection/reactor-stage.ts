import { onTestFinished } from "vitest";
import { EventStore } from "../../../src/index.ts";
import { Bucket } from "../../../src/nats/bucket.ts";
import {
  type HandleContext,
  type Reactor,
  type ReactorOptions,
  startReactor,
} from "../../../src/projection/index.ts";
import { decodeCheckpoint, type StoredCheckpoint } from "../../../src/projection/checkpoint.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import type { RecordedEvent } from "../../../src/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";

type Placed = { readonly type: "Placed"; readonly data: { readonly n: number } };
type Shipped = { readonly type: "Shipped"; readonly data: { readonly n: number } };
export type Shop = {
  order: Placed | Shipped;
  noise: { readonly type: "Heard"; readonly data: string };
};

export const selection = { order: ["Placed"] } as const;
export type ShopOptions = Partial<ReactorOptions<Shop, typeof selection>>;
export type PlacedEvent = Extract<RecordedEvent<Shop, "order">, { readonly type: "Placed" }>;

function placed(...numbers: readonly number[]): Placed[] {
  return numbers.map((n) => ({ type: "Placed", data: { n } }));
}

/** A store that closes when the test is over. */
export async function openShop(
  setup: { url?: string; stream?: string } = {},
): Promise<EventStore<Shop>> {
  const { url = natsUrl(), stream = freshStream() } = setup;
  const store = await EventStore.connect<Shop>({
    servers: url,
    stream,
    reconnectTimeWait: 50,
    reconnectJitter: 0,
  });
  onTestFinished(() => store.close());
  return store;
}

/** Appends one commit of the numbers, to one of a few actors. */
export async function place(store: EventStore<Shop>, ...numbers: readonly number[]): Promise<void> {
  const actor = { type: "order", id: `o${(numbers[0] ?? 0) % 3}` } as const;
  await store.append(actor, placed(...numbers), { expectedVersion: "any" });
}

/** Numbers from 1. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, at) => at + 1);
}

/** A handler that notes what it was called with. */
export class Notes {
  readonly calls: { readonly n: number; readonly attempt: number; readonly id: string }[] = [];
  /** The most calls that ran at once. */
  most = 0;
  #running = 0;
  readonly #work: (n: number, context: HandleContext) => Promise<void> | void;

  constructor(work: (n: number, context: HandleContext) => Promise<void> | void = () => {}) {
    this.#work = work;
  }

  get numbers(): number[] {
    return this.calls.map(({ n }) => n);
  }

  readonly handle = async (event: PlacedEvent, context: HandleContext): Promise<void> => {
    const { n } = event.data;
    this.calls.push({ n, attempt: context.attempt, id: event.id });
    this.most = Math.max(this.most, ++this.#running);
    try {
      await this.#work(n, context);
    } finally {
      this.#running--;
    }
  };
}

/** A reactor that closes when the test is over. */
export async function react(
  store: EventStore<Shop>,
  notes: Notes,
  options: ShopOptions = {},
): Promise<Reactor> {
  const reactor = await startReactor(store, {
    name: "mailer",
    events: selection,
    handle: notes.handle,
    retryMs: 5,
    ...options,
  });
  onTestFinished(() => reactor.close({ signal: AbortSignal.timeout(5_000) }).catch(() => {}));
  return reactor;
}

export const bounds = { timeoutMs: 5_000 };

export function openReactorBucket(store: EventStore<Shop>, name = "reactors"): Promise<Bucket> {
  return Bucket.open(internalsOf(store).context.connection, { name, timeoutMs: 5_000 });
}

/** What the bucket holds as the checkpoint; undefined for nothing. */
export async function checkpointOf(
  store: EventStore<Shop>,
): Promise<(StoredCheckpoint & { readonly sequence: number }) | undefined> {
  const bucket = await openReactorBucket(store);
  const key = `${store.stream}.mailer.checkpoint`;
  const entry = await bucket.leaderGet(key, bounds);
  if (entry === undefined) return undefined;
  return { ...decodeCheckpoint(bucket.name, key, entry.data), sequence: entry.sequence };
}
