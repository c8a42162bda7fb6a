import type { Msg } from "@nats-io/nats-core";
import { fastHeaders } from "./raw-message.ts";

/**
 * What a message without a payload of the stream says about a pull (ADR-13 and ADR-9 of NATS, and the server's
 * consumer.go for the descriptions):
 *
 * - `heartbeat`: alive; `lastDelivered` is the consumer sequence that it delivered last;
 * - `ended`: the pull is over with `unused` messages not delivered, ask again;
 * - `too_large`: so is it, because the next message did not fit into the bytes left of it; `untouched` where not even
 *   one message fitted;
 * - `batch_limit`: the server gives at most `limit` messages a pull;
 * - `lost`: the consumer is gone or out of reach;
 * - `refused`: the server does not understand the request, asking again is useless.
 */
export type PullStatus =
  | { readonly kind: "heartbeat"; readonly lastDelivered: number }
  | { readonly kind: "ended"; readonly unused: number }
  | { readonly kind: "too_large"; readonly unused: number; readonly untouched: boolean }
  | { readonly kind: "batch_limit"; readonly limit: number; readonly unused: number }
  | { readonly kind: "lost" | "refused"; readonly reason: string };

/** Reads a status; the subject ends in the batch size that was asked for (see `pullSubject`). */
export function parsePullStatus(message: Msg): PullStatus {
  const headers = fastHeaders(message);
  const status = headers?.status;
  const description = headers?.description ?? "";
  const asked = Number(message.subject.slice(message.subject.lastIndexOf(".") + 1));
  const unused = Number(headers?.get("Nats-Pending-Messages") ?? asked);
  switch (status) {
    case 100:
      return { kind: "heartbeat", lastDelivered: Number(headers?.get("Nats-Last-Consumer") ?? 0) };
    case 404:
    case 408:
      return { kind: "ended", unused };
    case 409:
      return parseConflict(description, asked, unused);
    case 400:
      return { kind: "refused", reason: description };
    case 503:
      return { kind: "lost", reason: "no responders" };
    default:
      return { kind: "lost", reason: `status ${status ?? "none"} ${description}`.trim() };
  }
}

function parseConflict(description: string, asked: number, unused: number): PullStatus {
  const text = description.toLowerCase();
  if (text.startsWith("message size exceeds")) {
    return { kind: "too_large", unused, untouched: unused === asked };
  }
  if (text.startsWith("batch completed")) return { kind: "ended", unused };
  const limit = /^exceeded maxrequestbatch of (\d+)/.exec(text)?.[1];
  if (limit !== undefined)
    return { kind: "batch_limit", limit: Math.max(1, Number(limit)), unused };
  if (text.startsWith("exceeded maxrequest")) return { kind: "refused", reason: description };
  return { kind: "lost", reason: text };
}
