import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ClosedError, InvalidArgumentError, ServerStartError } from "../../../src/errors.ts";
import { startServer } from "../../../src/server/index.ts";
import { eventually } from "../../support/server.ts";
import {
  countStored,
  isRunning,
  pidOf,
  readVariables,
  storeOne,
  withConnection,
} from "./server-probe.ts";

test("starts a server on loopback that stores messages at once", async () => {
  await using server = await startServer();
  expect(server.url).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/);
  await storeOne(server.url, "FIRST");
  expect(await countStored(server.url, "FIRST")).toBe(1);
});

test("writes to the disk before each acknowledgement unless told otherwise", async () => {
  await using server = await startServer();
  await using relaxed = await startServer({ sync: "10s" });
  expect(await readVariables(server)).toHaveProperty("jetstream.config.sync_always", true);
  const tenSeconds = 10e9;
  const setting = "jetstream.config.sync_interval";
  expect(await readVariables(relaxed)).toHaveProperty(setting, tenSeconds);
});

test("two servers run side by side and know nothing of each other", async () => {
  const [one, two] = await Promise.all([startServer(), startServer()]);
  onTestFinished(async () => {
    await Promise.all([one.stop(), two.stop()]);
  });
  expect(one.url).not.toBe(two.url);
  await storeOne(one.url, "ONLY_HERE");
  await expect(countStored(two.url, "ONLY_HERE")).rejects.toThrow(/not found/);
});

test("keeps port and data over a kill and a restart, and clients reconnect", async () => {
  await using server = await startServer();
  const { url } = server;
  await storeOne(url, "KEPT");
  await withConnection(url, async (nc) => {
    const reconnected = (async () => {
      for await (const status of nc.status()) if (status.type === "reconnect") return;
    })();
    const pid = pidOf(server);
    await server.kill();
    expect(isRunning(pid)).toBe(false);
    expect(server.pid).toBeUndefined();
    await server.restart();
    expect(server.url).toBe(url);
    expect(server.pid).not.toBe(pid);
    await reconnected;
  });
  expect(await countStored(url, "KEPT")).toBe(1);
});

test("keeps the data over a restart in good order", async () => {
  await using server = await startServer();
  await storeOne(server.url, "KEPT");
  const pid = pidOf(server);
  await server.restart();
  expect(server.pid).not.toBe(pid);
  expect(await countStored(server.url, "KEPT")).toBe(1);
});

test("answers nothing while it is paused and goes on where it was", async () => {
  await using server = await startServer();
  await withConnection(server.url, async (nc) => {
    await server.pause();
    let answered = false;
    const flushed = nc.flush().then(() => {
      answered = true;
    });
    const signal = AbortSignal.timeout(200);
    await expect(fetch(`${server.monitorUrl}/varz`, { signal })).rejects.toThrow(/timeout/);
    expect(answered).toBe(false);
    await server.resume();
    await flushed;
  });
});

test("stop ends a paused server too, removes the temporary store and may be called again", async () => {
  const server = await startServer();
  const pid = pidOf(server);
  await server.pause();
  await Promise.all([server.stop(), server.stop()]);
  expect(isRunning(pid)).toBe(false);
  expect(existsSync(dirname(server.logFile))).toBe(false);
  await expect(server.restart()).rejects.toThrow(ClosedError);
});

test("a store that the caller names is used again by the next server", async () => {
  const storeDir = await mkdtemp(join(tmpdir(), "annal-test-"));
  onTestFinished(() => rm(storeDir, { recursive: true, force: true }));
  {
    await using server = await startServer({ storeDir });
    await storeOne(server.url, "KEPT");
  }
  await using server = await startServer({ storeDir });
  expect(await countStored(server.url, "KEPT")).toBe(1);
});

test("further configuration wins, and a jetstream block keeps the store's folder", async () => {
  const storeDir = await mkdtemp(join(tmpdir(), "annal-test-"));
  onTestFinished(() => rm(storeDir, { recursive: true, force: true }));
  const config = "max_payload: 64KB\njetstream { max_file: 10MB }";
  await using server = await startServer({ storeDir, config });
  const variables = await readVariables(server);
  expect(variables).toHaveProperty("max_payload", 65_536);
  expect(variables).toHaveProperty("jetstream.config.max_storage", 10 * 1024 * 1024);
  expect(variables).toHaveProperty("jetstream.config.store_dir", join(storeDir, "jetstream"));
});

test("a wrong configuration shows the end of the log", async () => {
  const failure = startServer({ config: "max_payload: many" });
  await expect(failure).rejects.toThrow(ServerStartError);
  await expect(failure).rejects.toThrow(/nats-server\.conf:\d+/);
});

test("a port that is taken is said to be", async () => {
  const listener = createServer().listen(0, "127.0.0.1");
  onTestFinished(() => void listener.close());
  await once(listener, "listening");
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("no TCP port");
  const failure = startServer({ port: address.port });
  await expect(failure).rejects.toThrow(ServerStartError);
  await expect(failure).rejects.toThrow(/address already in use/);
});

test("takes the port it is told", async () => {
  const first = await startServer();
  const port = Number(new URL(first.url).port);
  await first.stop();
  await using server = await startServer({ port });
  expect(server.url).toBe(`nats://127.0.0.1:${port}`);
});

test.each([
  [{ port: 0 }, "port"],
  [{ port: 70_000 }, "port"],
  [{ cluster: 0 }, "cluster"],
  [{ cluster: 2.5 }, "cluster"],
  [{ sync: "sometimes" }, "sync"],
])("refuses %j", async (options, argument) => {
  const failure = await startServer(options).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(InvalidArgumentError);
  expect(failure).toHaveProperty("argument", argument);
});

test("an aborted start rejects with the reason and leaves nothing running", async () => {
  const reason = new Error("changed my mind");
  const controller = new AbortController();
  const pids: number[] = [];
  const storeDir = await mkdtemp(join(tmpdir(), "annal-test-"));
  onTestFinished(() => rm(storeDir, { recursive: true, force: true }));
  const starting = startServer({
    storeDir,
    cluster: 3,
    signal: controller.signal,
  });
  const outcome = starting.catch((error: unknown) => error);
  // The first node's process writes its log as soon as it runs.
  const line = /^\[(\d+)\]/m;
  await eventually(async () => {
    const match = line.exec(await readFile(join(storeDir, "1", "nats-server.log"), "utf8"));
    if (match === null) return false;
    pids.push(Number(match[1]));
    return true;
  });
  controller.abort(reason);
  expect(await outcome).toBe(reason);
  for (const pid of pids) expect(isRunning(pid)).toBe(false);
});
