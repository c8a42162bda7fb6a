/**
 * A writer that knows nothing of Annal but docs/wire-format.md: what a client in another language does. It speaks plain
 * NATS (with the `nats` 2.x client) and encodes its few kinds of values by hand.
 */
import { connect, headers, type JsMsg, type Msg, type NatsConnection } from "nats";
import { ACTOR_TYPE, commitIdOf, eventOf, type LogRow } from "./event-log.ts";
import { encodeMessagePack } from "./message-pack.ts";
import type { Job, WriterCounts } from "./messages.ts";
import type { Outcome, RowWriter } from "./replay-rows.ts";
import type { VersionBoard } from "./version-board.ts";

const REQUEST_TIMEOUT_MS = 2_000;
const PAUSE_MS = 20;

/** Names of headers, from docs/wire-format.md, "Headers". */
const EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence";
const COMMIT_ID = "Annal-Commit";
const VERSION = "Annal-Version";

/** Error codes of the server: another commit stands there; or, on a cluster, perhaps. */
const TAKEN = 10071;
const UNDECIDED = 10164;

/** Where an actor's history ends: its last commit's place in the stream, and its version. */
interface Head {
  readonly sequence: number;
  readonly version: number;
}

/** The last commit of an actor as a direct get shows it. */
interface Found extends Head {
  readonly commitId: string;
  /** Sequence of the actor's commit before this one; 0 for none. */
  readonly predecessor: number;
}

/** What the server answers to a publish. An error comes with a `seq` too, of 0. */
interface PublishReply {
  readonly seq: number;
  readonly error?: { readonly err_code: number; readonly description: string };
}

/** Opens a writer that is a plain NATS client. */
export async function openWriter(
  { servers, stream }: Job,
  board: VersionBoard,
  counts: WriterCounts,
): Promise<RowWriter> {
  const nc = await connect({ servers: servers.split(",") });
  const heads = new Map<string, Head>();
  const close = await follow(nc, stream, heads, board);
  const writer = new ForeignWriter(nc, stream, heads, counts);
  return { append: (row) => writer.append(row), close };
}

/** The section "Appending from another language", step by step. */
class ForeignWriter {
  readonly #nc: NatsConnection;
  readonly #stream: string;
  readonly #heads: Map<string, Head>;
  readonly #counts: WriterCounts;

  constructor(nc: NatsConnection, stream: string, heads: Map<string, Head>, counts: WriterCounts) {
    this.#nc = nc;
    this.#stream = stream;
    this.#heads = heads;
    this.#counts = counts;
  }

  async append(row: LogRow): Promise<Outcome> {
    const subject = subjectOf(this.#stream, row.actorId);
    let inDoubt = false;
    for (let attempt = 1; ; attempt++) {
      const head = await this.#head(subject, row.version - 1, attempt > 1);
      if (head.version < row.version - 1) return "too early";
      if (head.version >= row.version) {
        await this.#assertOwn(subject, row);
        return inDoubt ? "appended" : "there already";
      }
      if (attempt > 1) this.#counts.retried++;
      const reply = await this.#publish(subject, row, head);
      if (reply === "unknown") {
        inDoubt = true;
        continue;
      }
      const { error, seq } = reply;
      if (error === undefined) {
        remember(this.#heads, subject, { sequence: seq, version: row.version });
        return "appended";
      }
      if (error.err_code === UNDECIDED) await pause(PAUSE_MS);
      else if (error.err_code !== TAKEN) throw new Error(`${subject}: ${error.description}`);
    }
  }

  /** Step 2: the head, remembered from what was written or followed, where that is far enough; else asked for. */
  async #head(subject: string, wanted: number, ask: boolean): Promise<Head> {
    const known = this.#heads.get(subject);
    if (!ask && known !== undefined && known.version >= wanted) {
      this.#counts.cacheHits++;
      return known;
    }
    this.#counts.cacheMisses++;
    const found = await this.#get(`${this.#stream}.${subject}`, "");
    if (found === undefined) return { sequence: 0, version: 0 };
    remember(this.#heads, subject, found);
    return found;
  }

  /** Steps 4 and 5: the payload, the three headers, and a publish that is answered. */
  async #publish(subject: string, row: LogRow, head: Head): Promise<PublishReply | "unknown"> {
    const { type, data } = eventOf(row);
    const noIndex = null;
    const payload = encodeMessagePack([1, noIndex, [[[type, data]]]]);
    const lines = headers();
    lines.set(EXPECTED_SEQUENCE, String(head.sequence));
    lines.set(COMMIT_ID, commitIdOf(row));
    lines.set(VERSION, String(head.version + 1));
    try {
      const options = { headers: lines, timeout: REQUEST_TIMEOUT_MS };
      const reply = await this.#nc.request(subject, payload, options);
      return reply.json<PublishReply>();
    } catch {
      return "unknown";
    }
  }

  /** The place is taken: follows the stored expectations back to the commit there, which must be the row's. */
  async #assertOwn(subject: string, row: LogRow): Promise<void> {
    let found = await this.#get(`${this.#stream}.${subject}`, "");
    while (found !== undefined && found.version > row.version && found.predecessor > 0) {
      found = await this.#get(this.#stream, JSON.stringify({ seq: found.predecessor }));
    }
    if (found?.commitId === commitIdOf(row)) return;
    throw new Error(
      `${subject}: commit ${found?.commitId} stands where ${commitIdOf(row)} belongs`,
    );
  }

  async #get(place: string, request: string): Promise<Found | undefined> {
    const options = { timeout: REQUEST_TIMEOUT_MS };
    const message = await this.#nc.request(`$JS.API.DIRECT.GET.${place}`, request, options);
    if (message.headers?.code === 404) return undefined;
    if (message.headers?.has(VERSION) !== true) {
      throw new Error(`${place}: ${message.headers?.description || "no commit"}`);
    }
    return {
      sequence: Number(message.headers.get("Nats-Sequence")),
      version: versionOf(message),
      commitId: message.headers.get(COMMIT_ID),
      predecessor: Number(message.headers.get(EXPECTED_SEQUENCE)),
    };
  }
}

/** Keeps the newest head: what is followed may be older than what was just written. */
function remember(heads: Map<string, Head>, subject: string, { sequence, version }: Head): void {
  if (sequence > (heads.get(subject)?.sequence ?? 0)) heads.set(subject, { sequence, version });
}

/** Follows what is stored, headers only, to know the heads and to wake whoever waits. @returns what ends it */
async function follow(
  nc: NatsConnection,
  stream: string,
  heads: Map<string, Head>,
  board: VersionBoard,
): Promise<() => Promise<void>> {
  const prefix = `${stream.toLowerCase()}.${ACTOR_TYPE}.`;
  const consumer = await nc.jetstream().consumers.get(stream, {
    filterSubjects: `${prefix}*`,
    headers_only: true,
  });
  const messages = await consumer.consume();
  const following = (async () => {
    for await (const message of messages) {
      const version = versionOf(message);
      remember(heads, message.subject, { sequence: message.seq, version });
      board.saw(unescapeId(message.subject.slice(prefix.length)), version);
    }
  })();
  return async () => {
    messages.stop();
    await following;
    await nc.close();
  };
}

/** Step 1: the subject; bytes outside `[A-Za-z0-9_-]` become `=HH`. */
function subjectOf(stream: string, actorId: string): string {
  let escaped = "";
  for (const byte of new TextEncoder().encode(actorId)) {
    const character = String.fromCharCode(byte);
    const plain = /[A-Za-z0-9_-]/.test(character);
    escaped += plain ? character : `=${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return `${stream.toLowerCase()}.${ACTOR_TYPE}.${escaped}`;
}

function unescapeId(token: string): string {
  return decodeURIComponent(token.replaceAll("=", "%"));
}

/** `Annal-Version` is `<version>` or, where the writer keeps an index, `<version>.<ordinal>`. */
function versionOf(message: Msg | JsMsg): number {
  return Number(message.headers?.get(VERSION).split(".")[0]);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
