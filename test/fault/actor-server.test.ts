import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { accountKind } from "../integration/actor/actor-account.ts";
import { type AccountHost, ActorStage } from "../integration/actor/actor-stage.ts";
import { ActorLoad, auditActors, fund, progressOf, transfersAmong } from "./actor-load.ts";

let server: NatsServer;
let stage: ActorStage;
const ACCOUNTS = 20;

beforeEach(async () => {
  server = await startServer();
  stage = await ActorStage.open(server.url);
  await fund(stage.external, ACCOUNTS, 100);
});

afterEach(async () => {
  await stage[Symbol.asyncDispose]();
  await server.stop();
});

/** Hosts on connections of their own, which survive a server that is gone for a while. */
function hosts(commandTimeoutMs: number): Promise<AccountHost[]> {
  const store = { servers: server.url, ackTimeoutMs: 200, readTimeoutMs: 500 };
  // who waits for the server again and again must not be overtaken by as many as an actor remembers
  const kind = accountKind({ snapshot: { version: 1, every: 5 }, rememberedCommands: 5_000 });
  const bounds = { kind, store, commandTimeoutMs, maxConflicts: 100, idleMs: 200 };
  return Promise.all([stage.host(bounds), stage.host(bounds)]);
}

describe("a server that is killed and restarted under the load of two hosts", () => {
  it.each([
    ["soon", 5_000],
    ["later than commands wait", 120],
  ])(
    "loses and doubles no acknowledged transfer: it comes back %s",
    async (_, commandTimeoutMs) => {
      const loads = (await hosts(commandTimeoutMs)).map(
        (host, at) => new ActorLoad(`p${at}`, host, 15, transfersAmong(ACCOUNTS)),
      );
      for (let round = 0; round < 3; round++) {
        await progressOf(loads, 120);
        await server.kill();
        await server.restart();
      }
      await progressOf(loads, 120);
      await Promise.all(loads.map((load) => load.stop()));
      expect(loads.flatMap(({ failures }) => failures)).toEqual([]);
      const done = loads.flatMap((load) => load.done);
      const audit = await auditActors(server.url, stage.stream, done);
      expect(audit.total).toBe(ACCOUNTS * 100);
      const fresh = await stage.host({ store: { servers: server.url } });
      for (let at = 0; at < ACCOUNTS; at++) {
        const id = `account-${at}`;
        expect(await fresh.state({ type: "account", id })).toEqual(audit.statesOf(id).at(-1));
      }
    },
    120_000,
  );
});
