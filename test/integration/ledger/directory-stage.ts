import { inspect } from "node:util";
import { EventStore, type ConnectOptions } from "../../../src/index.ts";
import { LedgerDirectory, type DirectoryOptions } from "../../../src/ledger/directory.ts";
import { newLedger } from "../../../src/ledger/ledger-info.ts";
import { Ledgers, type LedgersOptions } from "../../../src/ledger/ledgers.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { type Match, startWire, type Wire } from "../../support/wire.ts";

/** A stream of its own, directories and ledgers behind a wire, and another process's ledgers that go straight to the server. */
export class DirectoryStage implements AsyncDisposable {
  readonly stream = freshStream("LEDGERS");
  readonly wire: Wire;
  readonly url: string;
  /** What the clocks of the directories say. */
  nowMs = 0;
  readonly #opened: { close(): Promise<void> }[] = [];

  private constructor(wire: Wire, url: string) {
    this.wire = wire;
    this.url = url;
  }

  static async open(url: string = natsUrl()): Promise<DirectoryStage> {
    return new DirectoryStage(await startWire(url.split(",")[0] ?? url), url);
  }

  /** A directory behind the wire, on a connection of its own, which has counted nothing yet; it follows nobody. */
  async directory(
    options: Partial<DirectoryOptions> = {},
    storeOptions: Partial<ConnectOptions> = {},
  ): Promise<LedgerDirectory> {
    const store = await this.#store(this.wire.url, storeOptions);
    const directory = new LedgerDirectory(store, internalsOf(store), {
      ttlMs: 60_000,
      loadTimeoutMs: 30_000,
      follow: false,
      now: () => this.nowMs,
      wallClock: Date.now,
      ...options,
    });
    this.#opened.push(directory);
    this.wire.reset();
    return directory;
  }

  /** Ledgers behind the wire, in the same way. */
  async ledgers(options: LedgersOptions = {}): Promise<Ledgers> {
    const ledgers = await Ledgers.open(await this.#store(this.wire.url), options);
    this.#opened.push(ledgers);
    this.wire.reset();
    return ledgers;
  }

  /** Ledgers of another process: they go straight to the server. */
  async external(): Promise<Ledgers> {
    const ledgers = await Ledgers.open(await this.#store(this.url), { follow: false });
    this.#opened.push(ledgers);
    return ledgers;
  }

  /** A store on the stream, without ledgers. */
  store(): Promise<EventStore> {
    return this.#store(this.url);
  }

  /** Subject on which the last commit of an actor of the directory is asked for. */
  request(type: "ledger" | "bucket", name: string): string {
    return `$JS.API.DIRECT.GET.${this.stream}.${this.subject(type, name)}`;
  }

  subject(type: "ledger" | "bucket", name: string): string {
    return `${this.stream.toLowerCase()}.${type}.${name}`;
  }

  /** What `work` asks through the wire: the last tokens of the subjects. */
  async askedBy(work: () => Promise<unknown>): Promise<string[]> {
    this.wire.reset();
    await work();
    return this.asked();
  }

  /** The same since the wire was reset. */
  asked(): string[] {
    return this.wire.published.map(({ subject }) => subject.split(".").slice(-2).join(" "));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.wire.accept();
    await Promise.allSettled(this.#opened.reverse().map((each) => each.close()));
    await this.wire.close();
  }

  async #store(servers: string, options: Partial<ConnectOptions> = {}): Promise<EventStore> {
    const { stream } = this;
    const store = await EventStore.connect({ servers, stream, reconnectTimeWait: 20, ...options });
    this.#opened.push(store);
    return store;
  }
}

/** A ledger to create in a directory. */
export function asked(
  name: string,
  bucket = "eu",
  metadata: Readonly<Record<string, unknown>> = {},
): ReturnType<typeof newLedger> {
  return newLedger(name, bucket, metadata, undefined);
}

/** The name of the error that a promise rejects with, or what it gave instead. */
export async function outcomeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    (value) => `no error but ${inspect(value)}`,
    (error: unknown) => (error instanceof Error ? error.name : String(error)),
  );
}

/** The first frame that matches, and no other. */
export function firstOf(match: Match): Match {
  let found = false;
  return (frame) => {
    if (found || !match(frame)) return false;
    found = true;
    return true;
  };
}
