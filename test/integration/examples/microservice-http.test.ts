import { once } from "node:events";
import { type ClientRequest, request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sumOf } from "../../../examples/microservice-proof/instance.ts";
import { readConfig } from "../../../examples/microservice/config.ts";
import { EventStore } from "../../../src/index.ts";
import { startServer } from "../../../src/server/index.ts";
import { pauseServer } from "../../support/fault-pause.ts";
import { eventually, freshStream, natsUrl } from "../../support/server.ts";
import { type ServiceProcess, startService } from "./microservice-stage.ts";

const stream = freshStream("BANK");
let service: ServiceProcess;
let store: EventStore;

beforeAll(async () => {
  store = await EventStore.connect({ servers: natsUrl(), stream });
  service = await startService({ STREAM: stream });
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await store.close();
});

/** Begins with a deposit, and resolves when the service has begun with it too: its body has not been sent yet. */
async function begin(
  url: string,
  key: string,
  headers: Readonly<Record<string, string | number>>,
): Promise<ClientRequest> {
  const begun = request(`${url}/accounts/a/deposit`, {
    method: "POST",
    headers: { "Idempotency-Key": key, Expect: "100-continue", ...headers },
  });
  begun.on("error", () => {});
  begun.flushHeaders();
  await once(begun, "continue");
  return begun;
}

describe("a client of the microservice that hangs up", () => {
  it.each([
    { how: "with a length", key: "h1", headers: { "Content-Length": 20 } },
    { how: "in chunks", key: "h2", headers: { "Transfer-Encoding": "chunked" } },
  ])("in the middle of a body $how is no error of the service", async ({ key, headers }) => {
    await using alone = await startService({ STREAM: stream });
    const begun = await begin(alone.url, key, headers);
    begun.write('{"amount":');
    begun.destroy();
    const counted = await eventually(async () => {
      const text = await alone.metrics();
      expect(text).toContain('http_route="/accounts/:id/deposit"');
      return text;
    });
    expect(counted).toMatch(/duration_count\{[^}]*http_response_status_code="499"[^}]*\} 1$/m);
    expect(counted).not.toContain('http_response_status_code="500"');
    expect(alone.lines.map((line) => String(JSON.parse(line).event))).toEqual(["listening"]);
  });

  it("gives its place in the mailbox to another one", async () => {
    await using server = await startServer();
    const env = { NATS_URL: server.url, COMMAND_TIMEOUT_MS: "30000", MAX_WAITING: "1" };
    await using slow = await startService(env);
    await slow.post("/accounts/a/deposit", { amount: "1" }, "k1");
    await pauseServer(server);
    const body = '{"amount":"1"}';
    const send = async (key: string): Promise<ClientRequest> => {
      const begun = await begin(slow.url, key, { "Content-Length": body.length });
      begun.end(body);
      await once(begun, "finish");
      return begun;
    };
    const waiting = async (): Promise<number> =>
      sumOf(await slow.metrics(), "microservice_commands_waiting");
    const running = await send("k2");
    let isAnswered = false;
    const answered = once(running, "response").then(() => {
      isAnswered = true;
    });
    const left = await send("k3");
    await eventually(async () => expect(await waiting()).toBe(1));
    left.destroy();
    await eventually(async () => expect(await waiting()).toBe(0), { timeoutMs: 3_000 });
    expect(isAnswered).toBe(false);
    await server.resume();
    await answered;
  });
});

describe("HTTP of the microservice", () => {
  it.each([
    { what: "an undecodable path", path: "/accounts/%ZZ" },
    { what: "a space", path: "/accounts/a%20b" },
    { what: "a slash", path: "/accounts/a%2Fb" },
    { what: "a first dot", path: "/accounts/.a" },
    { what: "65 characters", path: `/accounts/${"a".repeat(65)}` },
  ])("knows no account with $what, wherever it is named", async ({ path }) => {
    const bad = { status: 400, body: { code: "bad_request" } };
    expect(await service.get(path)).toMatchObject(bad);
    expect(await service.post(`${path}/deposit`, { amount: "1" }, "i1")).toMatchObject(bad);
    expect(await service.post(`${path}/withdraw`, { amount: "1" }, "i1")).toMatchObject(bad);
    const name = path.replace("/accounts/", "").replace("%20", " ").replace("%2F", "/");
    for (const accounts of [
      { from: name, to: "b" },
      { from: "b", to: name },
    ]) {
      const told = await service.post("/transfers", { ...accounts, amount: "1" }, "i1");
      expect(told).toMatchObject(bad);
    }
    const longest = `A${"_.-9".repeat(15)}_.-`;
    expect((await service.get(`/accounts/${longest}`)).status).toBe(404);
  });

  it("says how large a body may be", async () => {
    const large = { amount: "1", note: "x".repeat(5_000) };
    const { status, headers, body } = await service.post("/accounts/a/deposit", large, "l1");
    expect(headers.get("Content-Type")).toBe("application/problem+json");
    const detail = "a body has 4096 bytes at most";
    expect({ status, body }).toMatchObject({
      status: 413,
      body: { code: "body_too_large", detail },
    });
  });

  it("does not say back whatever it was sent", async () => {
    const long = "x".repeat(2_000);
    const told = [
      await service.post("/accounts/a/deposit", { amount: "1" }, long),
      await service.post("/accounts/a/deposit", { amount: long }, "e1"),
      await service.get(`/accounts/${long}`),
      await service.get(`/accounts/a?at=${long}`),
    ];
    for (const { status, body } of told) {
      expect(status).toBe(400);
      expect(String(Object(body).detail)).toMatch(/found "x{59}…$/);
    }
  });

  it("knows what a client has by its entity tags", async () => {
    await service.post("/accounts/tags/deposit", { amount: "1" }, "t1");
    const get = async (tags: string) =>
      await service.get("/accounts/tags", { "If-None-Match": tags });
    for (const tags of ['"1"', 'W/"1"', '"7", "1"', '"7",W/"1" , "8"', "*"]) {
      const { status, headers } = await get(tags);
      expect([tags, status, headers.get("ETag")]).toEqual([tags, 304, '"1"']);
    }
    for (const tags of ['"2"', 'W/"11"', "1", '"7", "8"']) {
      expect([tags, (await get(tags)).status]).toEqual([tags, 200]);
    }
  });

  it("names the methods of a path", async () => {
    const send = async (method: string, path: string) => {
      const { status, headers } = await fetch(service.url + path, { method });
      return [status, headers.get("Allow"), headers.get("Content-Type")];
    };
    const type = "application/problem+json";
    expect(await send("DELETE", "/accounts/a")).toEqual([405, "GET, HEAD", type]);
    expect(await send("GET", "/transfers")).toEqual([405, "POST", type]);
    expect(await send("POST", "/healthz")).toEqual([405, "GET, HEAD", type]);
    expect(await send("GET", "/nothing")).toEqual([404, null, type]);
    expect(await send("GET", "/accounts/nobody")).toEqual([404, null, type]);
    expect(await send("HEAD", "/healthz")).toEqual([200, null, "application/json"]);
  });

  it("measures requests by their routes, and names what failed", async () => {
    await using server = await startServer();
    await using failing = await startService({ NATS_URL: server.url, COMMAND_TIMEOUT_MS: "300" });
    await failing.get("/some/path");
    await failing.get("/accounts/a");
    await pauseServer(server);
    const { status, body } = await failing.post("/accounts/a/deposit", { amount: "1" }, "m1");
    expect(status).toBeGreaterThanOrEqual(503);
    const lines = (await failing.metrics()).split("\n");
    const of = (status: string): string =>
      lines.filter((line) => /_duration_count\{/.test(line) && line.includes(status)).join("\n");
    expect(of(`"${status}"`)).toContain(`error_type="${String(Object(body).code)}"`);
    expect(of(`"${status}"`)).toContain('http_route="/accounts/:id/deposit"');
    expect(of('"404"')).toContain('http_route="/accounts/:id"');
    expect(of('"404"').split("\n")).toHaveLength(2);
    expect(of('"404"')).not.toContain("error_type");
    expect(lines.join("\n")).not.toContain('http_route="/*"');
    await server.resume();
  });
});

describe("the process of the microservice", () => {
  it.each([
    { first: "SIGTERM", second: "SIGINT", code: 130 },
    { first: "SIGINT", second: "SIGINT", code: 130 },
    { first: "SIGINT", second: "SIGTERM", code: 143 },
  ] as const)("ends at once when $second follows $first", async ({ first, second, code }) => {
    // longer than the test may take
    await using ending = await startService({ STREAM: stream, DRAIN_DELAY_MS: "60000" });
    ending.terminate(first);
    await eventually(() => ending.lines.some((line) => line.includes('"draining"')));
    ending.terminate(second);
    expect(await ending.ended).toBe(code);
  });

  it("keeps as many accounts in memory as it may", async () => {
    expect(readConfig({}).maxActors).toBe(20_000);
    expect(() => readConfig({ MAX_ACTORS: "0" })).toThrow(/MAX_ACTORS: expected 1 to/);
    await using small = await startService({ STREAM: stream, MAX_ACTORS: "2" });
    for (const id of ["m1", "m2", "m3", "m4", "m5"]) {
      await small.post(`/accounts/${id}/deposit`, { amount: "1" }, id);
    }
    const inMemory = sumOf(await small.metrics(), "microservice_actors_in_memory");
    expect(inMemory).toBe(2);
  });
});
