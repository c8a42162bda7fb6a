import type { Attributes } from "@opentelemetry/api";
import { type EventStore, jsonReplacer } from "annal";
import type { ActorHost, VersionedState } from "annal/actor";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { methodNotAllowed } from "hono/method-not-allowed";
import { routePath } from "hono/route";
import {
  type Account,
  type AccountCommand,
  type account,
  type Bank,
  isOutcomeOf,
} from "./account.ts";
import { hasHungUp, hungUp, problem, problemOf } from "./problems.ts";
import {
  isMatch,
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
  const fail = (error: unknown, c: Context): Response => {
    if (hasHungUp(c, error)) return hungUp();
    const found = problemOf(error);
    if (found.status === 500) parts.onError(error);
    return problem(c, found);
  };
  app.use(async (c, next) => {
    const startedAt = performance.now();
    try {
      await next();
    } catch (reason) {
      // what a signal aborts with need not be an error, and only errors go to onError
      c.res = fail(reason, c);
    }
    if (draining.aborted) c.header("Connection", "close");
    telemetry.requests.record((performance.now() - startedAt) / 1_000, measured(c));
  });
  app.use(
    methodNotAllowed({
      app,
      onMethodNotAllowed(c, methods) {
        const detail = `this path takes ${methods.join(", ")}`;
        const answer = problem(c, { status: 405, code: "method_not_allowed", detail });
        answer.headers.set("Allow", methods.join(", "));
        return answer;
      },
    }),
  );
  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError(c) {
        const detail = `a body has ${MAX_BODY_BYTES} bytes at most`;
        return problem(c, { status: 413, code: "body_too_large", detail });
      },
    }),
  );
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
  app.onError(fail);
  return app;
}

/** What the metrics tell of a request: nothing that a client makes up, because each value is a time series. */
function measured(c: Context): Attributes {
  const { status } = c.res;
  const route = routePath(c, -1);
  return {
    "http.request.method": c.req.method,
    // no route where only the middleware has matched
    ...(route === "/*" ? {} : { "http.route": route }),
    "http.response.status_code": status,
    ...(status < 500 ? {} : { "error.type": c.error ? problemOf(c.error).code : String(status) }),
  };
}

function addAccountRoutes(app: Hono, { accounts }: ServiceParts): void {
  /** Sends a command under the request's key, and answers with what came of it. */
  async function answer(c: Context, id: string, command: AccountCommand): Promise<Response> {
    const commandId = readIdempotencyKey(c.req.header("Idempotency-Key"));
    const actor = { type: "account", id } as const;
    const metadata = { causationId: commandId };
    // who has hung up holds no place in the mailbox; what is on its way to the stream may be stored all the same
    const { signal } = c.req.raw;
    const result = await accounts.send(actor, command, { commandId, metadata, signal });
    const { state, version, events, commitId, replayed } = result;
    if (replayed && !events.every((event) => isOutcomeOf(command, event))) {
      const detail = "the key was used for another request to this account";
      return problem(c, { status: 422, code: "idempotency_key_reused", detail });
    }
    return accountBody(c, id, { state, version }, { commitId, replayed });
  }

  app.get("/accounts/:id", async (c) => {
    const id = readAccountId(c.req.param("id"), "the path");
    const moment = readMoment(c.req.query());
    const { signal } = c.req.raw;
    const found = await accounts.load({ type: "account", id }, { ...moment, signal });
    if (found.version === 0) {
      const detail = `nothing had happened to account ${id}`;
      return problem(c, { status: 404, code: "account_not_found", detail });
    }
    const etag = etagOf(found);
    if (isMatch(c.req.header("If-None-Match"), etag)) return c.body(null, 304, { ETag: etag });
    return accountBody(c, id, found);
  });
  app.post("/accounts/:id/deposit", async (c) => {
    const id = readAccountId(c.req.param("id"), "the path");
    const amount = readAmount(readObject(await c.req.text()));
    return await answer(c, id, { type: "Deposit", amount });
  });
  app.post("/accounts/:id/withdraw", async (c) => {
    const id = readAccountId(c.req.param("id"), "the path");
    const amount = readAmount(readObject(await c.req.text()));
    return await answer(c, id, { type: "Withdraw", amount });
  });
  app.post("/transfers", async (c) => {
    const body = readObject(await c.req.text());
    const [from, to] = [readAccountId(body["from"], "from"), readAccountId(body["to"], "to")];
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
