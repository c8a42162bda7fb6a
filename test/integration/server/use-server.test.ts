import { expect, test } from "vitest";
import { useServer } from "../../../src/server/index.ts";
import { natsUrl } from "../../support/server.ts";
import { countStored, storeOne } from "./server-probe.ts";

test("uses the server that NATS_URL names and leaves it running", async () => {
  {
    await using server = await useServer({ env: { NATS_URL: natsUrl() } });
    expect(server).toMatchObject({ url: natsUrl(), started: false });
  }
  await storeOne(natsUrl(), "STILL_HERE");
});

test("starts a server where NATS_URL is not set and ends it", async () => {
  const { NATS_URL: _, ...env } = process.env;
  const server = await useServer({ env });
  expect(server.started).toBe(true);
  await storeOne(server.url, "HERE");
  await server[Symbol.asyncDispose]();
  await expect(countStored(server.url, "HERE")).rejects.toThrow(/refused/i);
});
