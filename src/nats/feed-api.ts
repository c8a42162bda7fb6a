import { Buffer } from "node:buffer";
import type { Msg } from "@nats-io/nats-core";
import { JetStreamUnavailableError, ServerRefusedError, StreamNotFoundError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { fastHeaders } from "./raw-message.ts";

/** Where a feed begins: at a stream sequence, at the first message stored at or after a time, or behind the last. */
export type FeedStart = { readonly sequence: number } | { readonly time: Date } | "new";

/** What a feed's consumer is to deliver. */
export interface FeedSelection {
  readonly stream: string;
  /** `$JS.API`, or `$JS.<domain>.API`. */
  readonly apiPrefix: string;
  /** Subjects, wildcards allowed, that must not overlap; none = all of the stream. */
  readonly filterSubjects: readonly string[];
  /** Deliver headers without payloads. */
  readonly headersOnly: boolean;
}

/** What the server says of a consumer that it has just created. */
export interface CreatedConsumer {
  /** Matching messages from the start on. */
  readonly pending: number;
  /** The first sequence it may deliver, also where the start was a time or "new"; undefined where it was not told. */
  readonly startSequence: number | undefined;
}

/** The server could not answer now; asking again makes sense. */
export class TransientApiError extends Error {}

/** How long the server keeps a consumer that nobody asks: a reader that died leaves nothing for longer. */
const inactiveThresholdMs = 30_000;

const maxWaitingPulls = 64;

/** Creates the ephemeral consumer of a feed: no acks, in memory, one replica. */
export async function createConsumer(
  connection: Connection,
  selection: FeedSelection,
  name: string,
  start: FeedStart,
  timeoutMs: number,
): Promise<CreatedConsumer> {
  const { stream, apiPrefix, filterSubjects } = selection;
  const [first, ...others] = filterSubjects;
  const single = first !== undefined && others.length === 0;
  const request = {
    stream_name: stream,
    action: "create",
    config: {
      name,
      ...startOf(start),
      ...(single ? { filter_subject: first } : {}),
      ...(others.length > 0 ? { filter_subjects: filterSubjects } : {}),
      ...(selection.headersOnly ? { headers_only: true } : {}),
      ack_policy: "none",
      replay_policy: "instant",
      mem_storage: true,
      num_replicas: 1,
      max_waiting: maxWaitingPulls,
      inactive_threshold: inactiveThresholdMs * 1_000_000,
    },
  };
  // A single filter stands in the subject too, so that permissions can limit it.
  const subject = `${apiPrefix}.CONSUMER.CREATE.${stream}.${name}${single ? `.${first}` : ""}`;
  const answer = await ask(connection, subject, request, timeoutMs);
  throwIfRefused(answer, stream);
  const delivered = field(answer, "delivered");
  const before = numberAt(delivered, "stream_seq");
  return {
    pending: numberAt(answer, "num_pending") ?? 0,
    startSequence: before === undefined ? undefined : before + 1,
  };
}

/** Deletes a consumer; what hinders that is left to its inactivity threshold. */
export async function deleteConsumer(
  connection: Connection,
  selection: FeedSelection,
  name: string,
  timeoutMs: number,
): Promise<void> {
  const subject = `${selection.apiPrefix}.CONSUMER.DELETE.${selection.stream}.${name}`;
  await ask(connection, subject, undefined, timeoutMs).catch(() => undefined);
}

function startOf(start: FeedStart): Readonly<Record<string, unknown>> {
  if (start === "new") return { deliver_policy: "new" };
  if ("time" in start) {
    return { deliver_policy: "by_start_time", opt_start_time: start.time.toISOString() };
  }
  return { deliver_policy: "by_start_sequence", opt_start_seq: start.sequence };
}

function ask(
  connection: Connection,
  subject: string,
  request: unknown,
  timeoutMs: number,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const payload =
      request === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify(request));
    connection.requests.send(subject, payload, undefined, timeoutMs, {
      onReply: (message) => {
        try {
          resolve(parseAnswer(message));
        } catch (error) {
          reject(error);
        }
        return true;
      },
      onFailure: (failure) => reject(new TransientApiError(failure)),
    });
  });
}

function parseAnswer(message: Msg): unknown {
  if (fastHeaders(message)?.status === 503) throw new TransientApiError("no responders");
  const answer: unknown = JSON.parse(Buffer.from(message.data).toString());
  return answer;
}

/** Codes of the server's errors.json: 10039 and 10076 JetStream not enabled, 10059 stream not found. */
function throwIfRefused(answer: unknown, stream: string): void {
  const error = field(answer, "error");
  if (error === undefined) return;
  const status = numberAt(error, "code") ?? 0;
  const code = numberAt(error, "err_code") ?? 0;
  const told = field(error, "description");
  const description = typeof told === "string" ? told : "no description";
  if (code === 10_059) throw new StreamNotFoundError(stream);
  if (code === 10_039 || code === 10_076) {
    throw new JetStreamUnavailableError(`reading stream ${stream}: ${description}`);
  }
  if (status >= 500) throw new TransientApiError(description);
  throw new ServerRefusedError(code, description, `reading stream ${stream}`);
}

function field(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function numberAt(value: unknown, name: string): number | undefined {
  const found = field(value, name);
  return typeof found === "number" ? found : undefined;
}
