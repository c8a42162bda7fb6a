import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { EventStore } from "../../src/index.ts";
import { findServer, type NatsServer, startServer } from "../../src/server/index.ts";
import { startHandshake, startSilence, vacantUrl } from "../support/fault-handshake.ts";
import { pauseServer } from "../support/fault-pause.ts";
import { appendOne, codeOf, counter, failureOf, openStore } from "../support/fault-store.ts";
import { eventually, freshStream } from "../support/server.ts";

/** How long something takes, in milliseconds, and what it gives. */
async function timed<T>(work: () => Promise<T>): Promise<{ result: T; tookMs: number }> {
  const startedAt = performance.now();
  const result = await work();
  return { result, tookMs: performance.now() - startedAt };
}

describe("connecting to no server", () => {
  it("fails with the address within the connect timeout where nobody listens", async () => {
    const servers = await vacantUrl();
    const { result, tookMs } = await timed(() =>
      failureOf(EventStore.connect({ servers, stream: "X", connectTimeoutMs: 1_000 })),
    );
    expect(codeOf(result)).toBe("connection_failed");
    expect(String(result)).toContain(new URL(servers).host);
    expect(tookMs).toBeLessThan(1_500);
  });

  it("fails within the connect timeout where something listens and says nothing", async () => {
    await using silence = await startSilence();
    const { result, tookMs } = await timed(() =>
      failureOf(EventStore.connect({ servers: silence.url, stream: "X", connectTimeoutMs: 600 })),
    );
    expect(codeOf(result)).toBe("connection_failed");
    expect(String(result)).toContain(new URL(silence.url).host);
    expect(tookMs).toBeLessThan(1_500);
  });

  it("fails within the connect timeout where several addresses say nothing", async () => {
    await using one = await startSilence();
    await using two = await startSilence();
    await using three = await startSilence();
    const servers = [one.url, two.url, three.url];
    const { result, tookMs } = await timed(() =>
      failureOf(EventStore.connect({ servers, stream: "X", connectTimeoutMs: 600 })),
    );
    expect(codeOf(result)).toBe("connection_failed");
    expect(tookMs).toBeLessThan(1_500);
  });

  it("ends with the signal's reason when it is aborted meanwhile", async () => {
    await using silence = await startSilence();
    const controller = new AbortController();
    const { signal } = controller;
    const options = { servers: silence.url, stream: "X", connectTimeoutMs: 3_000, signal };
    const { result, tookMs } = await timed(() => {
      const failing = failureOf(EventStore.connect(options));
      controller.abort(new Error("enough"));
      return failing;
    });
    expect(String(result)).toContain("enough");
    expect(tookMs).toBeLessThan(1_000);
  });
});

describe("a server that cannot hold a store", () => {
  it.each(["2.10.29", "2.11.4", "2.12.0"])("is refused with its version %s", async (version) => {
    await using old = await startHandshake(version);
    const refused = await failureOf(EventStore.connect({ servers: old.url, stream: "X" }));
    expect(refused).toMatchObject({ code: "server_too_old", version });
    expect(String(refused)).toContain("2.12.1");
  });

  it("is refused on a borrowed connection too, which stays open", async () => {
    await using old = await startHandshake("2.11.4");
    const nc = await connect({ servers: old.url });
    const refused = await failureOf(EventStore.open(nc, { stream: "X" }));
    expect(refused).toMatchObject({ code: "server_too_old", version: "2.11.4" });
    expect(nc.isClosed()).toBe(false);
    await nc.close();
  });

  it("is refused in time where JetStream is disabled", async ({ skip }) => {
    const found = await findServer();
    if (found.kind === "image") {
      skip("a server in a container always has JetStream");
      return;
    }
    const { port } = new URL(await vacantUrl());
    const child = spawn(found.path, ["-a", "127.0.0.1", "-p", port], { stdio: "ignore" });
    const exited = once(child, "exit");
    try {
      const servers = `nats://127.0.0.1:${port}`;
      await eventually(async () => (await connect({ servers })).close());
      const { result, tookMs } = await timed(() =>
        failureOf(EventStore.connect({ servers, stream: "X", connectTimeoutMs: 2_000 })),
      );
      expect(codeOf(result)).toBe("jetstream_unavailable");
      expect(tookMs).toBeLessThan(3_000);
    } finally {
      child.kill("SIGKILL");
      await exited;
    }
  });

  it("is refused in time where the account has no JetStream", async () => {
    await using server = await startServer({
      config: `accounts {
        PLAIN { users: [{ user: "plain", password: "p" }] }
        STREAMS { jetstream: enabled, users: [{ user: "streams", password: "s" }] }
      }
      no_auth_user: "streams"`,
    });
    const options = { servers: server.url, stream: "X", connectTimeoutMs: 2_000 };
    const { result, tookMs } = await timed(() =>
      failureOf(EventStore.connect({ ...options, user: "plain", pass: "p" })),
    );
    expect(codeOf(result)).toBe("jetstream_unavailable");
    expect(tookMs).toBeLessThan(3_000);
    await (await EventStore.connect({ ...options, user: "streams", pass: "s" })).close();
  });
});

const hasty = { appendTimeoutMs: 1_000, ackTimeoutMs: 300, readTimeoutMs: 1_000 };

describe.each([
  { fault: "killed", stop: (server: NatsServer) => server.kill() },
  { fault: "paused", stop: pauseServer },
])("a server that is $fault for good", ({ stop }) => {
  const expected = ["append_outcome_unknown", "connection_failed", "jetstream_unavailable"];

  it("ends appends with an error in time, and close does not hang", async () => {
    await using server = await startServer();
    const store = await openStore(server.url, freshStream(), { ...hasty, follow: true });
    for (let lane = 0; lane < 20; lane++) await appendOne(store, `actor-${lane}`, 0);
    await stop(server);
    const { result, tookMs } = await timed(() =>
      Promise.all(
        Array.from({ length: 20 }, (_, lane) => failureOf(appendOne(store, `actor-${lane}`, 1))),
      ),
    );
    for (const error of result) expect(expected).toContain(codeOf(error));
    expect(tookMs).toBeLessThan(2_500);
    const closing = await timed(() => store.close());
    expect(closing.tookMs).toBeLessThan(5_000);
    expect(codeOf(await failureOf(appendOne(store, "actor-0", 1)))).toBe("closed");
  });

  it("ends an appendAll, a read and a look with an error in time", async () => {
    await using server = await startServer();
    const store = await openStore(server.url, freshStream(), hasty);
    await appendOne(store, "alice", 0);
    await stop(server);
    const read = async (): Promise<void> => {
      for await (const _event of store.read(counter("alice"))) break;
    };
    const entry = { actor: counter("alice"), events: [], expectedVersion: 1 };
    const events = [{ type: "Counted" as const, data: { writer: "test", n: 1 } }];
    const { result, tookMs } = await timed(() =>
      Promise.all([
        failureOf(store.appendAll([{ ...entry, events }])),
        failureOf(store.latestVersion(counter("alice"))),
        failureOf(read()),
        failureOf(store.readLast(counter("alice"), 1)),
        failureOf(store.head()),
      ]),
    );
    const codes = [...expected, "read_timeout"];
    for (const error of result) expect(codes).toContain(codeOf(error));
    expect(tookMs).toBeLessThan(3_500);
    const closing = await timed(() => store.close());
    expect(closing.tookMs).toBeLessThan(5_000);
  });

  it("does not keep close from ending subscriptions and appends that run", async () => {
    await using server = await startServer();
    const store = await openStore(server.url, freshStream(), hasty);
    await appendOne(store, "alice", 0);
    const subscription = store.subscribe();
    let seen = 0;
    const following = (async () => {
      for await (const _event of subscription) seen++;
    })();
    await eventually(() => seen === 1);
    await stop(server);
    const appending = failureOf(appendOne(store, "alice", 1));
    const closing = await timed(() => store.close());
    expect(closing.tookMs).toBeLessThan(6_000);
    expect(expected).toContain(codeOf(await appending));
    await following;
  });
});
