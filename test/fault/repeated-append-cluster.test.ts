import { afterAll, beforeAll } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { describeRepetition } from "../support/fault-repetition.ts";

let cluster: NatsServer;

beforeAll(async () => {
  cluster = await startServer({ cluster: 3, sync: "default" });
});

afterAll(() => cluster.stop());

describeRepetition("a three-node cluster", () => {
  const [first] = cluster.nodes;
  return { url: first?.url ?? "", replicas: 3 };
});
