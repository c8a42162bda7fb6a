import { connect, type ConnectionOptions, type NatsConnection } from "@nats-io/transport-node";
import { ClosedError, ConnectionFailedError } from "../errors.ts";
import { abortable } from "../internal/abort.ts";
import { deferred, type Deferred } from "../internal/deferred.ts";
import { Requests } from "./requests.ts";

/** What happened to the connection; listeners must not throw. */
export type ConnectionEvent = "disconnect" | "reconnect" | "close";

/**
 * A NATS connection with its shared inbox. The client drops without a word what is published while it is
 * disconnected, so everything that publishes goes through here and waits for `connected` first.
 */
export class Connection {
  readonly nc: NatsConnection;
  readonly requests: Requests;
  readonly #owned: boolean;
  readonly #listeners = new Set<(event: ConnectionEvent) => void>();
  #connected = true;
  #closed = false;
  #reconnected: Deferred<void> | undefined;
  #stopStatus: (() => void) | undefined;

  constructor(nc: NatsConnection, owned: boolean, inboxPrefix: string) {
    this.nc = nc;
    this.#owned = owned;
    this.requests = new Requests(nc, inboxPrefix);
    this.#watch();
  }

  get connected(): boolean {
    return this.#connected && !this.nc.isClosed();
  }

  /** The client says so at once; its status events come later. */
  get closed(): boolean {
    return this.#closed || this.nc.isClosed();
  }

  /** Bytes of headers and payload that the server takes in one message. */
  get maxPayload(): number {
    return this.nc.info?.max_payload ?? 1024 * 1024;
  }

  listen(listener: (event: ConnectionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Resolves at once while connected, else on the reconnect; rejects when closed or after `timeoutMs`. */
  async whenConnected(timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.closed) throw new ClosedError("the connection");
    if (this.#connected) return;
    this.#reconnected ??= deferred();
    this.#reconnected.promise.catch(() => {});
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () =>
          reject(
            new ConnectionFailedError(`disconnected, and no reconnect within ${timeoutMs} ms`),
          ),
        Math.max(0, timeoutMs),
      );
    });
    try {
      await abortable(Promise.race([this.#reconnected.promise, late]), signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Releases what belongs to this object; closes the connection only if it is owned. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#end();
    if (this.#owned) await this.nc.close();
    else this.requests.unsubscribe();
  }

  #watch(): void {
    const statuses = this.nc.status();
    const iterator = statuses[Symbol.asyncIterator]();
    this.#stopStatus = () => void iterator.return?.();
    const follow = async (): Promise<void> => {
      for (;;) {
        const next = await iterator.next();
        if (next.done === true || this.#closed) break;
        if (next.value.type === "disconnect") this.#onDisconnect();
        else if (next.value.type === "reconnect") this.#onReconnect();
        else if (next.value.type === "close") break;
      }
      this.#end();
    };
    follow().catch(() => this.#end());
  }

  #onDisconnect(): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.#tell("disconnect");
    this.requests.failAll("disconnected");
  }

  #onReconnect(): void {
    this.#connected = true;
    this.#tell("reconnect");
    this.#reconnected?.resolve();
    this.#reconnected = undefined;
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connected = false;
    this.#stopStatus?.();
    this.#tell("close");
    this.#listeners.clear();
    this.requests.failAll("closed");
    this.#reconnected?.reject(new ClosedError("the connection"));
    this.#reconnected = undefined;
  }

  #tell(event: ConnectionEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

/** All options of the NATS client pass through: servers, tls, authenticator, inboxPrefix, name … */
export type NatsOptions = ConnectionOptions;

/** Connects an own connection, which reconnects for as long as it lives. */
export async function openConnection(
  options: NatsOptions,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<Connection> {
  const servers = options.servers ?? "127.0.0.1:4222";
  const late = new AbortController();
  // The client's own timeout is for each address; this one is for all of them.
  const timer = setTimeout(() => late.abort(new Error("timeout")), timeoutMs);
  const given = signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]);
  const connecting = connect({
    maxReconnectAttempts: -1,
    name: "annal",
    ...options,
    timeout: timeoutMs,
  });
  try {
    const nc = await abortable(connecting, given);
    return new Connection(nc, true, options.inboxPrefix ?? "_INBOX");
  } catch (cause) {
    connecting.then((nc) => nc.close()).catch(() => {});
    signal?.throwIfAborted();
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConnectionFailedError(
      `no NATS server reachable at ${[servers].flat().join(", ")} within ${timeoutMs} ms: ${reason}; ` +
        "start one (annal/server does) or check the address",
      { cause },
    );
  } finally {
    clearTimeout(timer);
  }
}

/** Uses the service's own connection, which stays open when the store closes. */
export function borrowConnection(nc: NatsConnection, inboxPrefix: string): Connection {
  if (nc.isClosed()) throw new ClosedError("the connection");
  return new Connection(nc, false, inboxPrefix);
}

export type { NatsConnection };
