import { afterAll, beforeAll } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { describeRepetition } from "../support/fault-repetition.ts";

let server: NatsServer;

beforeAll(async () => {
  server = await startServer();
});

afterAll(() => server.stop());

describeRepetition("a single server", () => ({ url: server.url, replicas: 1 }));
