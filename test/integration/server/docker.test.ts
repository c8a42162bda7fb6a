import { getContainerRuntimeClient, ImageName } from "testcontainers";
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { ServerStartError } from "../../../src/errors.ts";
import { DEFAULT_IMAGE, startServer } from "../../../src/server/index.ts";
import { countStored, readVariables, storeOne } from "./server-probe.ts";

/** An image that is already on this machine; the test pulls none. */
const IMAGE = process.env["ANNAL_TEST_IMAGE"] ?? DEFAULT_IMAGE;

beforeEach(async (context) => {
  // The reaper is an image of its own; these tests end their containers themselves.
  vi.stubEnv("TESTCONTAINERS_RYUK_DISABLED", "true");
  const client = await getContainerRuntimeClient().catch(() => undefined);
  if (client === undefined) {
    context.skip("no container engine runs here");
    return;
  }
  const there = await client.image.exists(ImageName.fromString(IMAGE));
  if (!there) context.skip(`the image ${IMAGE} is not on this machine (docker pull ${IMAGE})`);
});

afterEach(() => {
  vi.unstubAllEnvs();
});

test("starts a container on loopback and keeps port and data over kill and restart", async () => {
  await using server = await startServer({ places: ["docker"], image: IMAGE });
  const { url } = server;
  expect(url).toMatch(/^nats:\/\/127\.0\.0\.1:\d+$/);
  expect(server.pid).toBeUndefined();
  expect(await readVariables(server)).toHaveProperty("jetstream.config.sync_always", true);
  await storeOne(url, "KEPT");

  await server.kill();
  await expect(countStored(url, "KEPT")).rejects.toThrow();
  await server.restart();
  expect(server.url).toBe(url);
  expect(await countStored(url, "KEPT")).toBe(1);

  await server.pause();
  await server.restart();
  expect(await countStored(url, "KEPT")).toBe(1);
});

test("stop removes the container and may be called again", async () => {
  const server = await startServer({ places: ["docker"], image: IMAGE });
  onTestFinished(() => server.stop());
  await server.pause();
  await Promise.all([server.stop(), server.stop()]);
  await expect(countStored(server.url, "GONE")).rejects.toThrow(/refused/i);
});

test("a container whose configuration is wrong shows the end of its log", async () => {
  const failure = startServer({
    places: ["docker"],
    image: IMAGE,
    config: "max_payload: many",
    startTimeoutMs: 5_000,
  });
  await expect(failure).rejects.toThrow(ServerStartError);
  await expect(failure).rejects.toThrow(/nats-server\.conf:\d+/);
});
