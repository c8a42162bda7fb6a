import { STATUS_CODES } from "node:http";
import { AnnalError } from "annal";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { AccountRefusal } from "./account.ts";
import { BadRequestError } from "./requests.ts";

/** A request that did not work, as it is told (RFC 9457). */
interface Problem {
  readonly status: ContentfulStatusCode;
  /** Stable, to switch on. */
  readonly code: string;
  readonly detail?: string | undefined;
}

const REFUSALS = {
  // the account is not as it must be: it may work later
  insufficient_funds: 409,
  // it never works
  same_account: 422,
} as const satisfies Record<AccountRefusal["code"], ContentfulStatusCode>;

/** What a client can do about an error of the store or the host; the others are our own fault. */
const STATUSES: ReadonlyMap<string, ContentfulStatusCode> = new Map([
  ["invalid_argument", 400],
  // the key was used for something else
  ["commit_id_reused", 422],
  // nothing was stored: repeat it, here or elsewhere
  ["too_many_conflicts", 503],
  ["overloaded", 503],
  ["closed", 503],
  ["connection_failed", 503],
  ["jetstream_unavailable", 503],
  ["read_timeout", 503],
  // it may be stored: repeat it with the same key
  ["append_outcome_unknown", 504],
  ["command_timeout", 504],
]);

const RETRY_AFTER_SECONDS = "1";

/** The answer to a request that did not work. */
export function problem(c: Context, { status, code, detail }: Problem): Response {
  const headers = {
    "Content-Type": "application/problem+json",
    ...(status === 503 || status === 504 ? { "Retry-After": RETRY_AFTER_SECONDS } : {}),
  };
  const title = STATUS_CODES[status] ?? code;
  return c.body(
    JSON.stringify({ type: "about:blank", title, status, code, detail }),
    status,
    headers,
  );
}

/**
 * Whether a request failed because its client has hung up: by the request's signal, or by an error of its body, which may
 * come before.
 */
export function hasHungUp(c: Context, error: unknown): boolean {
  // the store's errors are of the store, whoever waits for them
  if (error instanceof AnnalError) return false;
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return c.req.raw.signal.aborted || code === "ECONNRESET";
}

/** The answer that nobody reads, for the metrics: 499, as nginx has it. */
export function hungUp(): Response {
  return new Response(undefined, { status: 499 });
}

/** What an error means to whoever sent the request. What is not theirs to know is not told. */
export function problemOf(error: unknown): Problem {
  if (error instanceof AccountRefusal) {
    return { status: REFUSALS[error.code], code: error.code, detail: error.message };
  }
  if (error instanceof BadRequestError) {
    return { status: 400, code: error.code, detail: error.message };
  }
  if (error instanceof HTTPException) {
    return { status: error.status, code: "http", detail: error.message };
  }
  const status = error instanceof AnnalError ? STATUSES.get(error.code) : undefined;
  if (!(error instanceof AnnalError) || status === undefined) {
    return { status: 500, code: "internal" };
  }
  return { status, code: error.code, detail: error.message };
}
