import { jetstreamManager, type JetStreamManager, type StreamConfig } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { EventStore, type ConnectOptions } from "../../../src/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { startWire, type Wire } from "../../support/wire.ts";

export interface Deposited {
  readonly type: "Deposited";
  readonly data: { readonly amount: number };
}
interface Bank {
  readonly [type: string]: Deposited;
  readonly account: Deposited;
}
export type BankStore = EventStore<Bank>;
export interface Account {
  readonly type: "account";
  readonly id: string;
}

type OpenOptions = Omit<ConnectOptions<Bank>, "stream">;

/** What clients have asked of the server, by kind. */
export interface Asked {
  /** Commits sent, those of batches included. */
  readonly appends: number;
  /** Reads of an actor's last message. */
  readonly heads: number;
  /** All other requests: reads by sequence, filtered reads, consumers, stream infos. */
  readonly others: number;
}

/** A stream of its own, a store behind a wire, an external writer that goes straight to the server, and an administrator. */
export class Stage implements AsyncDisposable {
  readonly stream: string;
  readonly wire: Wire;
  readonly nc: NatsConnection;
  readonly admin: JetStreamManager;
  /** Another process's store: its requests are not counted. */
  readonly external: BankStore;
  readonly #url: string;
  readonly #stores: BankStore[] = [];

  private constructor(
    url: string,
    stream: string,
    wire: Wire,
    nc: NatsConnection,
    admin: JetStreamManager,
    external: BankStore,
  ) {
    this.#url = url;
    this.stream = stream;
    this.wire = wire;
    this.nc = nc;
    this.admin = admin;
    this.external = external;
  }

  static async open(url: string = natsUrl()): Promise<Stage> {
    const stream = freshStream("CACHE");
    const wire = await startWire(url);
    const nc = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
    const admin = await jetstreamManager(nc, { checkAPI: false });
    const external = await EventStore.connect<Bank>({
      servers: url,
      stream,
      reconnectTimeWait: 20,
    });
    return new Stage(url, stream, wire, nc, admin, external);
  }

  /** A store behind the wire, which has counted nothing yet. */
  async store(options: OpenOptions = {}): Promise<BankStore> {
    const { stream, wire } = this;
    const store = await EventStore.connect<Bank>({
      servers: wire.url,
      stream,
      reconnectTimeWait: 20,
      ...options,
    });
    this.#stores.push(store);
    wire.reset();
    return store;
  }

  /** A store that goes straight to the server and knows nothing of the past. */
  unwatchedStore(): Promise<BankStore> {
    return EventStore.connect<Bank>({ servers: this.#url, stream: this.stream });
  }

  subject({ type, id }: Account): string {
    return `${this.stream.toLowerCase()}.${type}.${id}`;
  }

  /** Subject on which an actor's last message is asked for. */
  headRequest(actor: Account): string {
    return `$JS.API.DIRECT.GET.${this.stream}.${this.subject(actor)}`;
  }

  /** What was asked through the wire since it was reset. */
  asked(): Asked {
    const { wire, stream } = this;
    const appends = wire.count(new RegExp(`^${stream.toLowerCase()}\\.`));
    const direct = wire.count(new RegExp(`^\\$JS\\.API\\.DIRECT\\.GET\\.${stream}\\.`));
    const fromLeader = wire.published.filter(
      (frame) =>
        frame.subject === `$JS.API.STREAM.MSG.GET.${stream}` && frame.text.includes("last_by_subj"),
    ).length;
    const heads = direct + fromLeader;
    return { appends, heads, others: wire.published.length - appends - heads };
  }

  /** What `work` asks through the wire. */
  async askedBy(work: () => Promise<unknown>): Promise<Asked> {
    this.wire.reset();
    await work();
    return this.asked();
  }

  /** The settings of the stream, to create it again with. */
  async settings(): Promise<StreamConfig> {
    return (await this.admin.streams.info(this.stream)).config;
  }

  /** An administrator deletes the stream and creates it again, empty, with the same settings. */
  async recreate(): Promise<void> {
    const settings = await this.settings();
    await this.admin.streams.delete(this.stream);
    await this.admin.streams.add(settings);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.wire.accept();
    await Promise.allSettled([...this.#stores, this.external].map((store) => store.close()));
    await this.nc.close();
    await this.wire.close();
  }
}

export function account(id: string): Account {
  return { type: "account", id };
}

/** `count` events to append. */
export function deposits(count = 1): Deposited[] {
  return Array.from({ length: count }, (_, at) => ({ type: "Deposited", data: { amount: at } }));
}

/** Appends `count` commits of one event, from whatever version the actor is at. */
export async function write(store: BankStore, actor: Account, count: number): Promise<void> {
  for (let left = count; left > 0; left--) {
    await store.append(actor, deposits(), { expectedVersion: "any" });
  }
}

/** The versions that a read shows. */
export async function versions(store: BankStore, actor: Account): Promise<number[]> {
  const found: number[] = [];
  for await (const event of store.read(actor)) found.push(event.version);
  return found;
}

/** The name of the error that a promise rejects with, or what it gave instead. */
export async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    (value) => `no error but ${JSON.stringify(value)}`,
    (error: unknown) => (error instanceof Error ? error.name : String(error)),
  );
}

/** What a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => {
      throw new Error(`expected a rejection, got ${JSON.stringify(value)}`);
    },
    (error: unknown) => error,
  );
}
