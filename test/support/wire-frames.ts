import { Buffer } from "node:buffer";

/** Which way a frame goes. */
export type Direction = "to_server" | "to_client";

/**
 * One frame of the NATS client protocol, as it stood on the wire. `subject` and what follows are those of frames that
 * carry a message (PUB, HPUB, MSG, HMSG); other frames (PING, SUB, INFO …) have none.
 */
export class Frame {
  readonly direction: Direction;
  /** First word of the frame, in upper case. */
  readonly verb: string;
  /** Of PUB, HPUB, MSG and HMSG; empty for other frames. */
  readonly subject: string;
  /** Where the answer to this message is to go. */
  readonly reply: string | undefined;
  /** The whole frame. */
  readonly bytes: Buffer;
  /** For an answer to the client: the subject of the request it answers. */
  answerTo: string | undefined;
  readonly #headerBytes: number;
  readonly #bodyStart: number;
  #headers: ReadonlyMap<string, string> | undefined;

  constructor(direction: Direction, line: readonly string[], bytes: Buffer, body: BodyShape) {
    this.direction = direction;
    this.verb = line[0] ?? "";
    this.bytes = bytes;
    this.subject = body.subject;
    this.reply = body.reply;
    this.#bodyStart = body.start;
    this.#headerBytes = body.headerBytes;
  }

  /** Whether it carries a message. */
  get isMessage(): boolean {
    return this.subject !== "";
  }

  /** Headers by name; the last of a name counts, as the server appends its own. */
  get headers(): ReadonlyMap<string, string> {
    this.#headers ??= parseHeaders(
      this.bytes.toString("utf8", this.#bodyStart, this.#bodyStart + this.#headerBytes),
    );
    return this.#headers;
  }

  get payload(): Buffer {
    if (!this.isMessage) return Buffer.alloc(0);
    return this.bytes.subarray(this.#bodyStart + this.#headerBytes, this.bytes.length - 2);
  }

  /** The payload as text. */
  get text(): string {
    return this.payload.toString();
  }
}

/** Where a frame's message stands in its bytes. */
interface BodyShape {
  readonly subject: string;
  readonly reply: string | undefined;
  readonly start: number;
  readonly headerBytes: number;
  readonly totalBytes: number;
}

/**
 * Cuts a byte stream into frames (https://docs.nats.io/reference/reference-protocols/nats-protocol): a line that ends
 * in CR LF, and behind PUB, HPUB, MSG and HMSG as many bytes as the line says, again with CR LF.
 */
export class FrameReader {
  readonly #direction: Direction;
  #rest: Buffer = Buffer.alloc(0);

  constructor(direction: Direction) {
    this.#direction = direction;
  }

  /** The frames that `chunk` completes. */
  *take(chunk: Buffer): Generator<Frame, void, undefined> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const lineEnd = bytes.indexOf("\r\n");
      if (lineEnd < 0) break;
      const line = bytes.toString("utf8", 0, lineEnd).split(/[ \t]+/);
      line[0] = (line[0] ?? "").toUpperCase();
      const body = bodyOf(line, lineEnd + 2);
      const end = body.subject === "" ? lineEnd + 2 : body.start + body.totalBytes + 2;
      if (bytes.length < end) break;
      yield new Frame(this.#direction, line, bytes.subarray(0, end), body);
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }
}

/**
 * PUB subject [reply] size; HPUB subject [reply] header-size size; MSG subject sid [reply] size; HMSG subject sid
 * [reply] header-size size.
 */
function bodyOf(line: readonly string[], start: number): BodyShape {
  const [verb = "", subject = "", ...rest] = line;
  const none = { subject: "", reply: undefined, start, headerBytes: 0, totalBytes: 0 };
  if (verb !== "PUB" && verb !== "HPUB" && verb !== "MSG" && verb !== "HMSG") return none;
  const tokens = verb.endsWith("MSG") ? rest.slice(1) : rest;
  const sizes = verb.startsWith("H") ? 2 : 1;
  const [headerBytes = 0, totalBytes = headerBytes] = tokens.slice(-sizes).map(Number);
  const reply = tokens.length > sizes ? tokens[0] : undefined;
  return { subject, reply, start, headerBytes: sizes === 2 ? headerBytes : 0, totalBytes };
}

function parseHeaders(block: string): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (const line of block.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return headers;
}
