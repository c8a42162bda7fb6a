import { inspect } from "node:util";
import { jetstream, jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import { ActorHost, type ActorHostOptions } from "../../../src/actor/index.ts";
import { type ConnectOptions, EventStore, StreamRolledBackError } from "../../../src/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { startWire, type Wire } from "../../support/wire.ts";
import {
  type Account,
  accountKind,
  type AccountKind,
  type Balance,
  type Bank,
  evolveAccount,
} from "./actor-account.ts";

export type BankStore = EventStore<Bank>;
export type AccountHost = ActorHost<AccountKind>;

/** What is asked of the server, by kind. */
export interface Asked {
  /** Commits sent, those of batches included. */
  readonly appends: number;
  /** Reads of actors' last commits. */
  readonly heads: number;
  /** Other reads of commits. */
  readonly commits: number;
  /** Reads of snapshots. */
  readonly snapshots: number;
}

/** What a process is opened with. */
export interface ProcessOptions extends ActorHostOptions {
  readonly kind?: AccountKind | undefined;
  readonly store?: Partial<ConnectOptions<Bank>> | undefined;
  /** @default the stage's */
  readonly wire?: Wire | undefined;
}

/** A host of accounts in a process of its own. */
export interface Process {
  readonly host: AccountHost;
  readonly store: BankStore;
}

const soon = { reconnectTimeWait: 20, reconnectJitter: 5 } as const;

/** A stream of its own, a wire with hosts behind it (each has its connection), and a writer beside it. */
export class ActorStage implements AsyncDisposable {
  readonly stream: string;
  readonly url: string;
  readonly wire: Wire;
  readonly admin: JetStreamManager;
  /** Another process's store: its requests are not counted. */
  readonly external: BankStore;
  readonly #nc: NatsConnection;
  readonly #opened: { close(): Promise<void> }[] = [];

  private constructor(
    url: string,
    wire: Wire,
    nc: NatsConnection,
    admin: JetStreamManager,
    external: BankStore,
  ) {
    this.url = url;
    this.stream = external.stream;
    this.wire = wire;
    this.admin = admin;
    this.external = external;
    this.#nc = nc;
  }

  static async open(url: string = natsUrl()): Promise<ActorStage> {
    const wire = await startWire(url);
    const nc = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
    const admin = await jetstreamManager(nc, { checkAPI: false });
    const stream = freshStream("ACTORS");
    const external = await EventStore.connect<Bank>({ servers: url, stream, ...soon });
    return new ActorStage(url, wire, nc, admin, external);
  }

  get bucket(): string {
    return `${this.stream}_actors`;
  }

  /** A store behind the wire. */
  async store({ store, wire = this.wire }: ProcessOptions = {}): Promise<BankStore> {
    const servers = wire.url;
    const opened = await EventStore.connect<Bank>({
      servers,
      stream: this.stream,
      ...soon,
      ...store,
    });
    this.#opened.push(opened);
    return opened;
  }

  /** A host of accounts in a process of its own, which has counted nothing yet. */
  async process(options: ProcessOptions = {}): Promise<Process> {
    const { kind = accountKind(), store: _store, wire: _wire, ...others } = options;
    const store = await this.store(options);
    const host = await ActorHost.start(store, [kind], others);
    this.#opened.push(host);
    this.wire.reset();
    return { host, store };
  }

  async host(options: ProcessOptions = {}): Promise<AccountHost> {
    return (await this.process(options)).host;
  }

  /** A wire of its own, for a process that is to lose its connection alone. */
  async ownWire(): Promise<Wire> {
    const wire = await startWire(this.url);
    this.#opened.push(wire);
    return wire;
  }

  subject({ type, id }: Account): string {
    return `${this.stream.toLowerCase()}.${type}.${id}`;
  }

  /** Subject on which an actor's last commit is asked for. */
  headRequest(actor: Account): string {
    return `$JS.API.DIRECT.GET.${this.stream}.${this.subject(actor)}`;
  }

  /** Subject on which an actor's snapshot is asked for. */
  snapshotRequest(actor: Account): string {
    return `$JS.API.DIRECT.GET.KV_${this.bucket}.${this.snapshotSubject(actor)}`;
  }

  snapshotSubject({ type, id }: Account): string {
    return `$KV.${this.bucket}.${type}.${id}`;
  }

  /** What was asked through the wire since it was reset. */
  asked(): Asked {
    const { wire, stream, bucket } = this;
    const appends = wire.count(new RegExp(`^${stream.toLowerCase()}\\.`));
    const heads = wire.count(new RegExp(`^\\$JS\\.API\\.DIRECT\\.GET\\.${stream}\\..`));
    const commits = wire.count(`$JS.API.DIRECT.GET.${stream}`);
    const snapshots = wire.count(new RegExp(`^\\$JS\\.API\\.DIRECT\\.GET\\.KV_${bucket}`));
    return { appends, heads, commits, snapshots };
  }

  /** What `work` asks through the wire. */
  async askedBy(work: () => Promise<unknown>): Promise<Asked> {
    this.wire.reset();
    await work();
    return this.asked();
  }

  /** Writes commits of one event each past all hosts. */
  async write(actor: Account, ...amounts: readonly number[]): Promise<void> {
    for (const amount of amounts) {
      const data = { amount: Math.abs(amount) };
      const type = amount < 0 ? "Withdrawn" : "Deposited";
      const options = { expectedVersion: "any" } as const;
      await insist(() => this.external.append(actor, [{ type, data }], options));
    }
  }

  /** The state that the stream gives, and its version. */
  async truth(actor: Account): Promise<{ readonly state: Balance; readonly version: number }> {
    let state: Balance = { balance: 0, count: 0 };
    let version = 0;
    for await (const event of this.external.read(actor)) {
      state = evolveAccount(state, event);
      version = event.version;
    }
    return { state, version };
  }

  /** Commit ids of an actor, one a commit. */
  async commitIds(actor: Account): Promise<string[]> {
    const ids: string[] = [];
    for await (const event of this.external.read(actor)) {
      if (event.index === 0) ids.push(event.commitId);
    }
    return ids;
  }

  /** An administrator deletes the stream and creates it again, empty, with the same settings. */
  async recreate(): Promise<void> {
    const { config } = await this.admin.streams.info(this.stream);
    await this.admin.streams.delete(this.stream);
    await this.admin.streams.add(config);
  }

  /** How many snapshots have been written. */
  async snapshotsWritten(): Promise<number> {
    const { state } = await this.admin.streams.info(`KV_${this.bucket}`);
    return state.last_seq;
  }

  /** Writes bytes where an actor's snapshot stands. */
  async put(actor: Account, bytes: Uint8Array): Promise<void> {
    await jetstream(this.#nc).publish(this.snapshotSubject(actor), bytes);
  }

  /** Deletes an actor's snapshot, as KV clients do. */
  async delete(actor: Account): Promise<void> {
    const deleting = headers();
    deleting.set("KV-Operation", "DEL");
    const js = jetstream(this.#nc);
    await js.publish(this.snapshotSubject(actor), "", { headers: deleting });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.wire.accept();
    for (const each of this.#opened.reverse()) await each.close().catch(() => {});
    await this.external.close();
    await this.#nc.close();
    await this.wire.close();
  }
}

/** Does again what was told that the stream was rolled back: nothing was stored. */
export async function insist<T>(work: () => Promise<T>): Promise<T> {
  const [first] = await Promise.allSettled([work()]);
  if (first.status === "fulfilled") return first.value;
  if (!(first.reason instanceof StreamRolledBackError)) throw first.reason;
  return await work();
}

/** What a promise rejects with; fails where it resolves. */
export async function refusal(work: Promise<unknown>): Promise<unknown> {
  const [outcome] = await Promise.allSettled([work]);
  if (outcome.status === "rejected") return outcome.reason;
  throw new Error(`expected a refusal, got ${inspect(outcome.value)}`);
}
