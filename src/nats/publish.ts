import type { Msg } from "@nats-io/nats-core";
import type { ReplyHandler, RequestFailure, Requests } from "./requests.ts";

/** What is known of a publish after its answer, or after none. */
export type PublishOutcome =
  | { readonly kind: "stored"; readonly sequence: number; readonly duplicate: boolean }
  /** The server refused it: nothing was stored. `lastSequence` is what a failed expectation found. */
  | {
      readonly kind: "refused";
      readonly errorCode: number;
      readonly description: string;
      readonly lastSequence: number | undefined;
    }
  /** Nobody was there to take it: nothing was stored. */
  | { readonly kind: "no_responders" }
  /** No answer: it may be stored, now or later. */
  | { readonly kind: "unknown"; readonly reason: RequestFailure };

/** One message of an atomic batch. `headers` is the encoded block. */
export interface OutgoingMessage {
  readonly subject: string;
  readonly headers: Uint8Array;
  readonly payload: Uint8Array;
}

/** JetStream error codes that a store decides on (server/errors.json of nats-server). */
export const ErrorCode = {
  wrongLastSequence: 10071,
  /** On a cluster: another message on the subject is still in flight, so the expectation cannot be decided yet. */
  wrongLastSequenceUndecided: 10164,
  duplicateInProcess: 10158,
  duplicateInBatch: 10201,
  batchIncomplete: 10176,
  tooManyBatches: 10210,
  temporarilyUnavailable: 10008,
  clusterWithoutLeader: 10009,
} as const;

const NO_RESPONDERS: PublishOutcome = { kind: "no_responders" };

class AckHandler implements ReplyHandler {
  readonly #done: (outcome: PublishOutcome) => void;

  constructor(done: (outcome: PublishOutcome) => void) {
    this.#done = done;
  }

  onReply(message: Msg): boolean {
    this.#done(parseAck(message));
    return true;
  }

  onFailure(reason: RequestFailure): void {
    this.#done({ kind: "unknown", reason });
  }
}

/** Publishes one message and waits for the stream's answer; never rejects, every outcome is a value. */
export function publishAcked(
  requests: Requests,
  message: OutgoingMessage,
  timeoutMs: number,
): Promise<PublishOutcome> {
  return new Promise((resolve) => {
    requests.send(
      message.subject,
      message.payload,
      message.headers,
      timeoutMs,
      new AckHandler(resolve),
    );
  });
}

/**
 * Publishes an atomic batch in one round trip: all but the last without a reply, then the commit. A message that got
 * lost before shows up as an incomplete batch on the commit, so nothing is gained by waiting for the first ack
 * (ADR-50 asks for that only to detect servers without the feature). The caller has put the batch headers in.
 */
export function publishBatchAcked(
  requests: Requests,
  messages: readonly OutgoingMessage[],
  timeoutMs: number,
): Promise<PublishOutcome> {
  const last = messages.at(-1);
  if (last === undefined) throw new RangeError("a batch has at least one message");
  for (const message of messages.slice(0, -1)) {
    requests.publish(message.subject, message.payload, message.headers);
  }
  return publishAcked(requests, last, timeoutMs);
}

function parseAck(message: Msg): PublishOutcome {
  const { data } = message;
  const sequence = plainAckSequence(data);
  if (sequence > 0) return { kind: "stored", sequence, duplicate: false };
  if (data.length === 0 && message.headers?.code === 503) return NO_RESPONDERS;
  return parseAnswer(message);
}

/**
 * The sequence of an ack of nothing but stream and sequence, `{"stream":"BANK", "seq":12}`, which nearly all are, without
 * making a string of it; 0 for any other answer.
 */
function plainAckSequence(data: Uint8Array): number {
  if (data[0] !== 0x7b || data[2] !== 0x73 || data[3] !== 0x74) return 0;
  let at = data.length - 1;
  if (data[at--] !== 0x7d) return 0;
  let sequence = 0;
  for (let unit = 1; ; unit *= 10) {
    const digit = (data[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    sequence += digit * unit;
    at--;
  }
  while (data[at] === 0x20) at--;
  const named = data[at] === 0x3a && data[at - 2] === 0x71 && data[at - 5] === 0x22;
  return named && data[at - 4] === 0x73 ? sequence : 0;
}

/** The fields of a stream's answer that matter here. */
interface PublishAnswer {
  readonly seq?: number;
  readonly duplicate?: boolean;
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

function parseAnswer(message: Msg): PublishOutcome {
  let answer: PublishAnswer;
  try {
    answer = message.json<PublishAnswer>();
  } catch {
    const description = `unreadable answer ${JSON.stringify(message.string().slice(0, 200))}`;
    return { kind: "refused", errorCode: 0, description, lastSequence: undefined };
  }
  const { seq = 0, duplicate = false, error } = answer;
  if (error === undefined && seq > 0) return { kind: "stored", sequence: seq, duplicate };
  const { err_code: errorCode = 0, description = "no description" } = error ?? {};
  const found = /wrong last sequence: (\d+)$/.exec(description);
  const lastSequence = found?.[1] === undefined ? undefined : Number(found[1]);
  return { kind: "refused", errorCode, description, lastSequence };
}
