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
  if (data.length === 0 && message.headers?.code === 503) return NO_RESPONDERS;
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("latin1");
  if (!text.includes('"error"')) {
    const at = text.indexOf('"seq":');
    const sequence = at < 0 ? Number.NaN : Number.parseInt(text.slice(at + 6), 10);
    if (sequence > 0) {
      return { kind: "stored", sequence, duplicate: /"duplicate":\s*true/.test(text) };
    }
  }
  return parseRefusal(data);
}

function parseRefusal(data: Uint8Array): PublishOutcome {
  const text = new TextDecoder().decode(data);
  let errorCode = 0;
  let description = `unreadable answer ${JSON.stringify(text.slice(0, 200))}`;
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer === "object" && answer !== null && "error" in answer) {
      const { error } = answer;
      if (typeof error === "object" && error !== null) {
        if ("err_code" in error) errorCode = Number(error.err_code);
        if ("description" in error) description = String(error.description);
      }
    }
  } catch {
    return { kind: "refused", errorCode, description, lastSequence: undefined };
  }
  const found = /wrong last sequence: (\d+)$/.exec(description);
  const lastSequence = found?.[1] === undefined ? undefined : Number(found[1]);
  return { kind: "refused", errorCode, description, lastSequence };
}
