import { type EventStore, jsonReplacer } from "annal";
import type { ActorHost, VersionedState } from "annal/actor";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { routePath } from "hono/route";
import {
  type Account,
  type AccountCommand,
  type account,
  type Bank,
  isOutcomeOf,
} from "./account.ts";
import { problem, problemOf } from "./problems.ts";
import {
  readAccountId,
  readAmount,
  readIdempotencyKey,
  readMoment,
  readObject,
} from "./requests.ts";
import type { ServiceTelemetry } from "./telemetry.ts";

/** What the service stands on. */
export interface ServiceParts {
  readonly store: EventStore<Bank>;
  readonly accounts: ActorHost<typeof account>;
  readonly telemetry: ServiceTelemetry;
  /** Aborted when the service is to end: it is not ready any more, and closes connections with its answers. */
  readonly draining: AbortSignal;
  /** Told of errors that are the service's own. */
  readonly onError: (error: unknown) => void;
}

const MAX_BODY_BYTES = 4_096;

/** The service's routes. */
export function createService(parts: ServiceParts): Hono {
  const { store, telemetry, draining } = parts;
  const app = new Hono();
  app.use(async (c, next) => {
    const startedAt = performance.now();
    await next();
    if (draining.aborted) c.header("Connection", "close");
    telemetry.requests.record((performance.now() - startedAt) / 1_000, {
      "http.request.method": c.req.method,
      "http.route": routePath(c, -1),
      "http.response.status_code": c.res.status,
    });
  });
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES }));
  addAccountRoutes(app, parts);
  app.get("/healthz", (c) => c.json({ status: "alive" }));
  app.get("/readyz", (c) => {
    const { connected, settingsProblems } = store.health();
    const reasons = [
      ...(draining.aborted ? ["the service is ending"] : []),
      ...(connected ? [] : ["the connection to NATS is lost"]),
      ...settingsProblems.map(({ setting }) => `the stream's setting ${setting} is unsafe`),
    ];
    return reasons.length === 0
      ? c.json({ status: "ready" })
      : c.json({ status: "not ready", reasons }, 503);
  });
  app.get("/metrics", async (c) => {
    const headers = { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" };
    return c.body(await telemetry.render(), 200, headers);
  });
  app.notFound((c) =>
    problem(c, { status: 404, code: "not_found", detail: "there is no such path" }),
  );
  app.onError((error, c) => {
    const found = problemOf(error);
    if (found.status === 500) parts.onError(error);
    return problem(c, found);
  });
  return app;
}

function addAccountRoutes(app: Hono, { accounts }: ServiceParts): void {
  /** Sends a command under the request's key, and answers with what came of it. */
  async function answer(c: Context, id: string, command: AccountCommand): Promise<Response> {
    const commandId = readIdempotencyKey(c.req.header("Idempotency-Key"));
    const actor = { type: "account", id } as const;
    const metadata = { causationId: commandId };
    const result = await accounts.send(actor, command, { commandId, metadata });
    const { state, version, events, commitId, replayed } = result;
    if (replayed && !events.every((event) => isOutcomeOf(command, event))) {
      const detail = "the key was used for another request to this account";
      return problem(c, { status: 422, code: "idempotency_key_reused", detail });
    }
    return accountBody(c, id, { state, version }, { commitId, replayed });
  }

  app.get("/accounts/:id", async (c) => {
    const id = c.req.param("id");
    const found = await accounts.load({ type: "account", id }, readMoment(c.req.query()));
    if (found.version === 0) {
      const detail = `nothing had happened to account ${id}`;
      return problem(c, { status: 404, code: "account_not_found", detail });
    }
    if (c.req.header("If-None-Match") === etagOf(found)) return c.body(null, 304);
    return accountBody(c, id, found);
  });
  app.post("/accounts/:id/deposit", async (c) => {
    const amount = readAmount(readObject(await c.req.text()));
    return await answer(c, c.req.param("id"), { type: "Deposit", amount });
  });
  app.post("/accounts/:id/withdraw", async (c) => {
    const amount = readAmount(readObject(await c.req.text()));
    return await answer(c, c.req.param("id"), { type: "Withdraw", amount });
  });
  app.post("/transfers", async (c) => {
    const body = readObject(await c.req.text());
    const [from, to] = [readAccountId(body, "from"), readAccountId(body, "to")];
    return await answer(c, from, { type: "Transfer", to, amount: readAmount(body) });
  });
}

type Versioned = Pick<VersionedState<Account>, "state" | "version">;

function accountBody(c: Context, id: string, { state, version }: Versioned, more = {}): Response {
  const body = { id, ...state, version, ...more };
  const headers = { "Content-Type": "application/json", ETag: etagOf({ version }) };
  return c.body(JSON.stringify(body, jsonReplacer), 200, headers);
}

function etagOf({ version }: Pick<Versioned, "version">): string {
  return `"${version}"`;
}
