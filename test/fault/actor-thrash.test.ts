import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { accountKind } from "../integration/actor/actor-account.ts";
import { ActorStage } from "../integration/actor/actor-stage.ts";
import { eventually } from "../support/server.ts";
import { ActorLoad, auditActors, depositsAmong, fund, progressOf } from "./actor-load.ts";

let server: NatsServer;
let stage: ActorStage;
const ACCOUNTS = 10_000;
const LANES = 150;

beforeAll(async () => {
  server = await startServer({ sync: "default" });
});

afterAll(() => server.stop());

beforeEach(async () => {
  stage = await ActorStage.open(server.url);
  await fund(stage.external, ACCOUNTS, 3);
}, 60_000);

afterEach(() => stage[Symbol.asyncDispose]());

describe("10,000 actors, hot and cold, that come and go all the time", () => {
  it("keep each deposit that was acknowledged, once, with a small part of them in memory", async () => {
    const maxActors = 300;
    const kind = accountKind({ snapshot: { version: 1, every: 3 } });
    const bounds = { kind, maxActors, maxConflicts: 200 };
    const hosts = [await stage.host(bounds), await stage.host({ ...bounds, idleMs: 40 })];
    const loads = hosts.map(
      (host, at) => new ActorLoad(`p${at}`, host, LANES, depositsAmong(ACCOUNTS, 40)),
    );
    await progressOf(loads, 6_000);
    for (const host of hosts) {
      expect(host.status().actorsInMemory).toBeLessThanOrEqual(maxActors + 2 * LANES);
    }
    await Promise.all(loads.map((load) => load.stop()));
    expect(loads.flatMap(({ failures }) => failures)).toEqual([]);
    for (const host of hosts) {
      await eventually(() => host.status().actorsInMemory <= maxActors);
      expect(host.status()).toMatchObject({ commandsRunning: 0, commandsWaiting: 0 });
    }
    const done = loads.flatMap((load) => load.done);
    const audit = await auditActors(server.url, stage.stream, done);
    expect(audit.total).toBe(ACCOUNTS * 3 + done.length);
    await Promise.all(hosts.map((host) => host.close()));
    const fresh = await stage.host({ kind });
    const ids = Array.from({ length: 500 }, (_, at) => `account-${at}`);
    const states = await Promise.all(ids.map((id) => fresh.state({ type: "account", id })));
    expect(states).toEqual(ids.map((id) => audit.statesOf(id).at(-1)));
  }, 120_000);
});
