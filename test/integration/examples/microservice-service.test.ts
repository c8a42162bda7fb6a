import { request } from "node:http";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sumOf } from "../../../examples/microservice-proof/instance.ts";
import { readConfig } from "../../../examples/microservice/config.ts";
import { EventStore } from "../../../src/index.ts";
import { startServer } from "../../../src/server/index.ts";
import { pauseServer } from "../../support/fault-pause.ts";
import { eventually, freshStream, natsUrl } from "../../support/server.ts";
import { type ServiceProcess, startService } from "./microservice-stage.ts";

const stream = freshStream("BANK");
let first: ServiceProcess;
let second: ServiceProcess;
let store: EventStore;

beforeAll(async () => {
  store = await EventStore.connect({ servers: natsUrl(), stream });
  const env = { STREAM: stream };
  [first, second] = await Promise.all([startService(env), startService(env)]);
});
afterAll(async () => {
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  await store.close();
});

describe("accounts of the microservice", () => {
  it("change by deposits, withdrawals and transfers, and tell their version as an ETag", async () => {
    const deposit = await first.post("/accounts/a/deposit", { amount: "100" }, "a1");
    expect(deposit.status).toBe(200);
    expect(deposit.headers.get("ETag")).toBe('"1"');
    expect(deposit.body).toEqual({
      id: "a",
      balance: "100",
      version: 1,
      commitId: "a1",
      replayed: false,
    });
    const transfer = { from: "a", to: "b", amount: "60" };
    const { body } = await first.post("/transfers", transfer, "a2");
    expect(body).toMatchObject({ id: "a", balance: "40", version: 2 });
    await second.post("/accounts/b/withdraw", { amount: "10" }, "a3");
    const b = await first.get("/accounts/b");
    expect(b.headers.get("ETag")).toBe('"2"');
    expect(b.body).toEqual({ id: "b", balance: "50", version: 2 });

    expect((await first.get("/accounts/b", { "If-None-Match": '"2"' })).status).toBe(304);
    expect((await first.get("/accounts/b", { "If-None-Match": '"1"' })).status).toBe(200);
  });

  it("are told as they were at a version and at a time", async () => {
    await first.post("/accounts/c/deposit", { amount: "1" }, "c1");
    const [event] = await store.readLast({ type: "account", id: "c" }, 1);
    const recordedAt = event?.recordedAt ?? new Date(0);
    // times are told in milliseconds
    await eventually(() => Date.now() > recordedAt.getTime() + 1);
    await first.post("/accounts/c/deposit", { amount: "2" }, "c2");
    const at = recordedAt.toISOString();
    expect((await first.get("/accounts/c?version=1")).body).toMatchObject({ balance: "1" });
    expect((await first.get(`/accounts/c?at=${at}`)).body).toMatchObject({ balance: "1" });
    expect((await first.get("/accounts/c")).body).toMatchObject({ balance: "3" });
    const before = await first.get("/accounts/c?at=2020-01-01");
    expect(before).toMatchObject({ status: 404, body: { code: "account_not_found" } });
    const beyond = await first.get("/accounts/c?version=3");
    expect(beyond).toMatchObject({ status: 400, body: { code: "invalid_argument" } });
  });

  it("do once what is asked twice under one key, whichever instance is asked", async () => {
    await first.post("/accounts/d/deposit", { amount: "100" }, "d1");
    const transfer = { from: "d", to: "e", amount: "60" };
    const { body } = await first.post("/transfers", transfer, "d2");
    const again = await second.post("/transfers", transfer, '"d2"');
    expect(body).toMatchObject({ balance: "40", version: 2, replayed: false });
    expect(again.body).toEqual({ ...Object(body), replayed: true });
    expect((await second.get("/accounts/e")).body).toMatchObject({ balance: "60", version: 1 });

    const other = await second.post("/transfers", { ...transfer, amount: "61" }, "d2");
    expect(other).toMatchObject({ status: 422, body: { code: "idempotency_key_reused" } });
    expect((await first.get("/accounts/d")).body).toMatchObject({ balance: "40", version: 2 });
  });
});

describe("answers of the microservice", () => {
  it.each([
    { what: "no key", path: "/accounts/f/deposit", body: { amount: "1" }, key: undefined },
    { what: "a key with a space", path: "/accounts/f/deposit", body: { amount: "1" }, key: "a b" },
    { what: "no JSON", path: "/accounts/f/deposit", body: "{", key: "f1" },
    { what: "a number", path: "/accounts/f/deposit", body: { amount: 1 }, key: "f1" },
    { what: "nothing to move", path: "/accounts/f/withdraw", body: { amount: "0" }, key: "f1" },
    { what: "less than nothing", path: "/accounts/f/deposit", body: { amount: "-1" }, key: "f1" },
    { what: "nobody to get it", path: "/transfers", body: { from: "f", amount: "1" }, key: "f1" },
  ])("say what is wrong with $what, and nothing happens", async ({ path, body, key }) => {
    const { status, headers, body: told } = await first.post(path, body, key);
    expect(status).toBe(400);
    expect(headers.get("Content-Type")).toBe("application/problem+json");
    const title = "Bad Request";
    expect(told).toMatchObject({ type: "about:blank", title, status, code: "bad_request" });
    expect(await store.exists({ type: "account", id: "f" })).toBe(false);
  });

  it("say why something cannot be done", async () => {
    await first.post("/accounts/g/deposit", { amount: "5" }, "g1");
    const tooMuch = await first.post("/accounts/g/withdraw", { amount: "6" }, "g2");
    const detail = "6 were asked for, the balance is 5";
    expect(tooMuch).toMatchObject({ status: 409, body: { code: "insufficient_funds", detail } });
    const toItself = await first.post("/transfers", { from: "g", to: "g", amount: "1" }, "g3");
    expect(toItself).toMatchObject({ status: 422, body: { code: "same_account" } });
    const nobody = await first.get("/accounts/nobody");
    expect(nobody).toMatchObject({ status: 404, body: { code: "account_not_found" } });
    const nothing = await first.get("/nothing");
    expect(nothing).toMatchObject({ status: 404, body: { code: "not_found" } });
    const large = { amount: "1", note: "x".repeat(5_000) };
    expect((await first.post("/accounts/g/deposit", large, "g4")).status).toBe(413);
    expect(await store.latestVersion({ type: "account", id: "g" })).toBe(1);
    expect(first.lines.filter((line) => line.includes('"event":"error"'))).toEqual([]);
  });

  it("tell Prometheus of requests and of what the host does", async () => {
    for (const [at, service] of [first, second, first].entries()) {
      await service.post("/accounts/i/deposit", { amount: "1" }, `i${at}`);
    }
    const { headers, body } = await first.get("/metrics");
    expect(headers.get("Content-Type")).toContain("text/plain; version=0.0.4");
    const text = String(body);
    expect(text).toContain('http_route="/accounts/:id/deposit",http_response_status_code="200"');
    expect(sumOf(text, "http_server_request_duration_count")).toBeGreaterThan(1);
    expect(sumOf(text, "microservice_actors_in_memory")).toBeGreaterThan(0);
    // the last deposit was decided on a state that the second instance had changed
    expect(sumOf(text, "annal_actor_send_conflicts_sum")).toBeGreaterThan(0);
  });
});

describe("the microservice", () => {
  it("says what is safe to repeat while NATS hangs, and does it once when it is repeated", async () => {
    await using server = await startServer();
    const env = { NATS_URL: server.url, COMMAND_TIMEOUT_MS: "2000", MAX_WAITING: "1" };
    await using service = await startService(env);
    const deposit = (key: string) => service.post("/accounts/a/deposit", { amount: "2" }, key);
    await deposit("k1");
    await pauseServer(server);
    // one is on its way to NATS, one waits for its turn, and there is no room for the others
    const hung = await Promise.all(["k2", "k3", "k4", "k5"].map(deposit));
    for (const { headers } of hung) expect(headers.get("Retry-After")).toBe("1");
    const told = hung.map(({ status, body }) => `${status} ${String(Object(body).code)}`);
    const overloaded = "503 overloaded";
    const unknown = "504 append_outcome_unknown";
    expect(told.filter((answer) => answer === overloaded)).toHaveLength(2);
    expect(told).toContain(unknown);
    // where its turn comes just before its time is over, it asks what has become of the one before
    const waited = told.find((answer) => answer !== overloaded && answer !== unknown);
    expect(["504 command_timeout", "503 read_timeout"]).toContain(waited);
    await server.resume();
    for (const key of ["k2", "k3", "k4", "k5"]) {
      await eventually(async () => expect((await deposit(key)).status).toBe(200), {
        timeoutMs: 20_000,
      });
    }
    const { body } = await service.get("/accounts/a");
    expect(body).toEqual({ id: "a", balance: "10", version: 5 });
  });

  it("is alive and not ready while NATS is gone", async () => {
    await using server = await startServer();
    await using service = await startService({ NATS_URL: server.url });
    expect(await service.get("/readyz")).toMatchObject({ status: 200, body: { status: "ready" } });
    await server.kill();
    await eventually(async () => expect((await service.get("/readyz")).status).toBe(503), {
      timeoutMs: 20_000,
    });
    expect((await service.get("/healthz")).status).toBe(200);
    await server.restart();
    await eventually(async () => expect((await service.get("/readyz")).status).toBe(200), {
      timeoutMs: 20_000,
    });
  });

  it("finishes what it is at when it is told to end, and takes nothing more", async () => {
    // long enough to see what is so until it stops listening
    const service = await startService({ STREAM: stream, DRAIN_DELAY_MS: "3000" });
    await using _ = service;
    const body = JSON.stringify({ amount: "7" });
    const underWay = request(`${service.url}/accounts/z/deposit`, {
      method: "POST",
      headers: {
        "Idempotency-Key": "z1",
        "Content-Length": body.length,
        // answered as soon as the service has begun with the request
        Expect: "100-continue",
      },
    });
    underWay.flushHeaders();
    await once(underWay, "continue");
    const answered = once(underWay, "response");
    service.terminate();
    const notReady = await eventually(async () => {
      const answer = await service.get("/readyz");
      expect(answer.status).toBe(503);
      return answer;
    });
    expect(notReady.body).toMatchObject({ reasons: ["the service is ending"] });
    const late = await service.post("/accounts/z/deposit", { amount: "1" }, "z2");
    expect(late.status).toBe(200);
    expect(late.headers.get("Connection")).toBe("close");
    await eventually(
      async () => await expect(service.get("/healthz")).rejects.toThrow("fetch failed"),
      { timeoutMs: 20_000 },
    );

    underWay.end(body);
    const [response] = await answered;
    expect(response.statusCode).toBe(200);
    response.resume();
    expect(await service.ended).toBe(0);
    const told = service.lines.map((line) => String(JSON.parse(line).event));
    expect(told).toEqual(["listening", "draining", "closing", "ended"]);
    expect(await store.latestVersion({ type: "account", id: "z" })).toBe(2);
  });

  it("does not start with a configuration that is wrong, and names all that is", async () => {
    const env = { STREAM: "a b", PORT: "70000", REPLICAS: "many" };
    expect(() => readConfig(env)).toThrow(/STREAM: .*"a b"\n.*REPLICAS: .*"many"\n.*PORT: /);
    expect(readConfig({ NATS_URL: "nats://a:1,nats://b:2", REPLICAS: "" })).toMatchObject({
      servers: ["nats://a:1", "nats://b:2"],
      replicas: 1,
      port: 8080,
    });
    await expect(startService(env)).rejects.toThrow(/ended with 1: .*the configuration is wrong/);
  });
});
