import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { type Direction, type Frame, FrameReader } from "./wire-frames.ts";

/** What a wire does with the frames of one of its connections. */
export interface LinkOptions {
  /** Decides on each frame: `true` passes it on, `false` means that somebody else has taken it. */
  readonly onFrame: (frame: Frame, link: WireLink) => boolean;
  readonly onEnd: (link: WireLink) => void;
  /** How long frames are on their way, milliseconds; asked for each frame. */
  readonly delayMs: () => number;
}

interface Delayed {
  readonly frame: Frame;
  readonly due: number;
}

/** Requests of which the answers are recognised; older ones are forgotten. */
const MAX_REQUESTS = 10_000;

/** One client's connection: its socket, the socket to the server, and the frames between them. */
export class WireLink {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #options: LinkOptions;
  readonly #requests = new Map<string, string>();
  readonly #delayed: Delayed[] = [];
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(client: Socket, server: Socket, options: LinkOptions) {
    this.#client = client;
    this.#server = server;
    this.#options = options;
    client.setNoDelay(true);
    server.setNoDelay(true);
    this.#connect(client, "to_server");
    this.#connect(server, "to_client");
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Sends a frame on its way, after whatever is being delayed; nothing happens once the connection has ended. */
  pass(frame: Frame): void {
    const delayMs = this.#options.delayMs();
    if (delayMs === 0 && this.#delayed.length === 0) {
      this.#write(frame);
      return;
    }
    const last = this.#delayed.at(-1)?.due ?? 0;
    this.#delayed.push({ frame, due: Math.max(last, performance.now() + delayMs) });
    this.#timer ??= setTimeout(() => this.#passDue(), delayMs);
  }

  /** Ends both connections at once, without a farewell. */
  cut(): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#client.destroy();
    this.#server.destroy();
    this.#options.onEnd(this);
  }

  #connect(socket: Socket, direction: Direction): void {
    const reader = new FrameReader(direction);
    socket.on("data", (chunk: Buffer) => {
      for (const frame of reader.take(chunk)) this.#take(frame);
    });
    socket.on("error", () => this.cut());
    socket.on("close", () => this.cut());
  }

  #take(frame: Frame): void {
    if (this.#ended) return;
    if (frame.direction === "to_client") frame.answerTo = this.#requests.get(frame.subject);
    else if (frame.reply !== undefined) this.#remember(frame.reply, frame.subject);
    if (this.#options.onFrame(frame, this)) this.pass(frame);
  }

  #remember(reply: string, subject: string): void {
    this.#requests.set(reply, subject);
    if (this.#requests.size <= MAX_REQUESTS) return;
    const oldest = this.#requests.keys().next();
    if (!oldest.done) this.#requests.delete(oldest.value);
  }

  #passDue(): void {
    this.#timer = undefined;
    const now = performance.now();
    for (let next = this.#delayed[0]; next !== undefined; next = this.#delayed[0]) {
      if (next.due > now) {
        this.#timer = setTimeout(() => this.#passDue(), next.due - now);
        return;
      }
      this.#delayed.shift();
      this.#write(next.frame);
    }
  }

  #write(frame: Frame): void {
    if (this.#ended) return;
    const socket = frame.direction === "to_server" ? this.#server : this.#client;
    socket.write(withoutOtherServers(frame));
  }
}

/** An INFO that names the servers of a cluster would lead clients past the wire. */
function withoutOtherServers(frame: Frame): Buffer | string {
  if (frame.verb !== "INFO") return frame.bytes;
  const { connect_urls: _urls, ...info } = JSON.parse(frame.bytes.toString("utf8", 5));
  return `INFO ${JSON.stringify(info)}\r\n`;
}
