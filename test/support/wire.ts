import { createServer, connect, type Server } from "node:net";
import { deferred, type Deferred } from "../../src/internal/deferred.ts";
import type { Frame } from "./wire-frames.ts";
import { WireLink } from "./wire-link.ts";

/** Chooses frames. Helpers: {@link publishTo}, {@link answerTo}, {@link deliveryOf}. */
export type Match = (frame: Frame) => boolean;

/** Frames that a wire has taken out of the flow. */
interface Taken {
  /** Those taken so far, oldest first. */
  readonly frames: readonly Frame[];
  /** Resolves when `count` frames have been taken. @default 1 */
  reached(count?: number): Promise<void>;
}

/** Frames that wait at the wire. */
export interface Hold extends Taken {
  /** Lets them go on, in order, and holds no more. Safe to call again. */
  release(): void;
}

/** Frames that get lost at the wire. */
interface Drop extends Taken {
  /** Loses no more. */
  stop(): void;
}

/**
 * A wire between clients and a real nats-server: a proxy on loopback that knows where the protocol's frames begin and
 * end, so that a test can count requests, and hold, lose or delay single messages. The server does all the work; the
 * wire answers nothing itself.
 *
 * @example
 * await using wire = await startWire(natsUrl());
 * const store = await EventStore.connect({ servers: wire.url, stream });
 * wire.reset();
 * const held = wire.hold(answerTo(/DIRECT\.GET/)); // suspends the fetch: the server has answered already
 * const version = store.latestVersion(actor);
 * await held.reached();
 * …                                                // whatever happens meanwhile; it is not held
 * held.release();
 * await version;
 * expect(wire.count(/DIRECT\.GET/)).toBe(1);
 */
export interface Wire extends AsyncDisposable {
  /** What clients connect to; user and password of the server's own URL included. */
  readonly url: string;
  /** What clients have sent (PUB and HPUB) since the last {@link reset}, in order; also what was held or lost then. */
  readonly published: readonly Frame[];
  /** Number of connections through it now. */
  readonly connections: number;
  /** How many messages clients sent to a subject: the exact one, or any that an expression finds. */
  count(subject: RegExp | string): number;
  /** Forgets what was published. */
  reset(): void;
  /**
   * Holds the frames that match, either way, until it is released; all others pass, so a held one is overtaken. Rules
   * that were made earlier are asked first.
   */
  hold(match: Match): Hold;
  /** Loses the next `times` frames that match; the server, or the client, never sees them. @default 1 */
  drop(match: Match, times?: number): Drop;
  /** Holds everything, as a partition does: connections stay open, nothing arrives. */
  pause(): Hold;
  /** Each frame takes so many milliseconds, either way, from now on; order stays. 0 = none. */
  delay(ms: number): void;
  /** Destroys all connections; clients notice at once and may connect again. */
  cut(): void;
  /** Destroys each new connection, until {@link accept}; those that stand stay. */
  refuse(): void;
  accept(): void;
  /** Cuts all and listens no more. */
  close(): Promise<void>;
}

/** A message of a client to a subject. */
export function publishTo(subject: RegExp | string): Match {
  return (frame) => frame.direction === "to_server" && isSubject(subject, frame.subject);
}

/** An answer of the server to a request on a subject: acks of publishes are answers to the subject published to. */
export function answerTo(subject: RegExp | string): Match {
  return ({ answerTo: asked }) => asked !== undefined && isSubject(subject, asked);
}

/** A message that a subscription (or consumer) delivers to a client. */
export function deliveryOf(subject: RegExp | string): Match {
  return (frame) => frame.direction === "to_client" && isSubject(subject, frame.subject);
}

/** Starts a wire in front of the server at `upstreamUrl` (`nats://[user:password@]host:port`, without TLS). */
export async function startWire(upstreamUrl: string): Promise<Wire> {
  const upstream = new URL(upstreamUrl.includes("://") ? upstreamUrl : `nats://${upstreamUrl}`);
  const wire = new FrameWire(upstream);
  await wire.listen();
  return wire;
}

interface Rule {
  /** Whether it has taken the frame. */
  take(frame: Frame, link: WireLink): boolean;
}

class FrameWire implements Wire {
  readonly #upstream: URL;
  readonly #listener: Server;
  readonly #links = new Set<WireLink>();
  readonly #rules = new Set<Rule>();
  #published: Frame[] = [];
  #delayMs = 0;
  #refusing = false;

  constructor(upstream: URL) {
    this.#upstream = upstream;
    this.#listener = createServer((client) => {
      if (this.#refusing) {
        client.on("error", () => {});
        client.destroy();
        return;
      }
      const server = connect(Number(upstream.port || 4222), upstream.hostname);
      const link = new WireLink(client, server, {
        onFrame: (frame, from) => this.#onFrame(frame, from),
        onEnd: (ended) => this.#links.delete(ended),
        delayMs: () => this.#delayMs,
      });
      this.#links.add(link);
    });
  }

  async listen(): Promise<void> {
    const listening = deferred();
    this.#listener.once("error", (error) => listening.reject(error));
    this.#listener.listen(0, "127.0.0.1", () => listening.resolve());
    await listening.promise;
  }

  get url(): string {
    const address = this.#listener.address();
    if (address === null || typeof address === "string") throw new Error("the wire is closed");
    const { username, password } = this.#upstream;
    const user = username === "" ? "" : `${username}:${password}@`;
    return `nats://${user}127.0.0.1:${address.port}`;
  }

  get published(): readonly Frame[] {
    return this.#published;
  }

  get connections(): number {
    return this.#links.size;
  }

  count(subject: RegExp | string): number {
    return this.#published.filter((frame) => isSubject(subject, frame.subject)).length;
  }

  reset(): void {
    this.#published = [];
  }

  hold(match: Match): Hold {
    const frames = new TakenFrames();
    const waiting: { readonly frame: Frame; readonly link: WireLink }[] = [];
    const rule: Rule = {
      take: (frame, link) => {
        if (!match(frame)) return false;
        waiting.push({ frame, link });
        frames.add(frame);
        return true;
      },
    };
    this.#rules.add(rule);
    const release = (): void => {
      this.#rules.delete(rule);
      for (const { frame, link } of waiting.splice(0)) link.pass(frame);
    };
    return { frames: frames.list, reached: (count) => frames.reached(count), release };
  }

  drop(match: Match, times = 1): Drop {
    const frames = new TakenFrames();
    const rule: Rule = {
      take: (frame) => {
        if (!match(frame)) return false;
        frames.add(frame);
        if (frames.list.length >= times) this.#rules.delete(rule);
        return true;
      },
    };
    this.#rules.add(rule);
    const stop = (): void => void this.#rules.delete(rule);
    return { frames: frames.list, reached: (count) => frames.reached(count), stop };
  }

  pause(): Hold {
    return this.hold(() => true);
  }

  delay(ms: number): void {
    this.#delayMs = ms;
  }

  cut(): void {
    for (const link of this.#links) link.cut();
  }

  refuse(): void {
    this.#refusing = true;
  }

  accept(): void {
    this.#refusing = false;
  }

  async close(): Promise<void> {
    if (!this.#listener.listening) return;
    const closed = deferred();
    this.#listener.close(() => closed.resolve());
    this.cut();
    await closed.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #onFrame(frame: Frame, link: WireLink): boolean {
    if (frame.direction === "to_server" && frame.isMessage) this.#published.push(frame);
    for (const rule of this.#rules) if (rule.take(frame, link)) return false;
    return true;
  }
}

/** A growing list that can be waited for. */
class TakenFrames {
  readonly list: Frame[] = [];
  readonly #waits: { readonly count: number; readonly done: Deferred<void> }[] = [];

  add(frame: Frame): void {
    this.list.push(frame);
    for (const { count, done } of this.#waits) if (this.list.length >= count) done.resolve();
  }

  async reached(count = 1): Promise<void> {
    if (this.list.length >= count) return;
    const done = deferred();
    this.#waits.push({ count, done });
    await done.promise;
  }
}

function isSubject(wanted: RegExp | string, subject: string): boolean {
  if (subject === "") return false;
  return typeof wanted === "string" ? wanted === subject : wanted.test(subject);
}
