import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ActorHost } from "../../src/actor/index.ts";
import { EventStore } from "../../src/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import {
  account,
  accountKind,
  type Bank,
  deposit,
  deposited,
  withdraw,
} from "../integration/actor/actor-account.ts";
import { leaderOf } from "../support/fault-leader.ts";
import { freshStream } from "../support/server.ts";
import { ActorLoad, auditActors, fund, progressOf, transfersAmong } from "./actor-load.ts";

let cluster: NatsServer;
const ACCOUNTS = 20;
const kind = accountKind({ snapshot: { version: 1, every: 5 }, rememberedCommands: 1_000 });

beforeAll(async () => {
  cluster = await startServer({ cluster: 3, sync: "default" });
});

afterAll(() => cluster.stop());

const patient = {
  replicas: 3,
  appendTimeoutMs: 45_000,
  ackTimeoutMs: 1_000,
  readTimeoutMs: 30_000,
  connectTimeoutMs: 15_000,
  reconnectTimeWait: 100,
};

function open(stream: string, servers = cluster.url): Promise<EventStore<Bank>> {
  return EventStore.connect<Bank>({ servers: servers.split(","), stream, ...patient });
}

describe("hosts on a cluster of three nodes", () => {
  it("lose and double no transfer when the stream's leader is killed and comes back", async () => {
    const stream = freshStream();
    const stores = [await open(stream), await open(stream)];
    const [store] = stores;
    if (store === undefined) throw new Error("no store");
    await fund(store, ACCOUNTS, 100);
    const bounds = { commandTimeoutMs: 45_000, maxConflicts: 200, idleMs: 300 };
    const hosts = await Promise.all(stores.map((each) => ActorHost.start(each, [kind], bounds)));
    const loads = hosts.map(
      (host, at) => new ActorLoad(`p${at}`, host, 10, transfersAmong(ACCOUNTS)),
    );
    const progress = (): Promise<void> => progressOf(loads, 80);
    await progress();
    const leader = await leaderOf(cluster, stream);
    await leader.kill();
    await progress();
    await leader.restart();
    await progress();
    await Promise.all(loads.map((load) => load.stop()));
    expect(loads.flatMap(({ failures }) => failures)).toEqual([]);
    const done = loads.flatMap((load) => load.done);
    const audit = await auditActors(cluster.url, stream, done);
    expect(audit.total).toBe(ACCOUNTS * 100);
    for (const host of hosts) {
      for (let at = 0; at < ACCOUNTS; at++) {
        const id = `account-${at}`;
        expect(await host.state(account(id))).toEqual(audit.statesOf(id).at(-1));
      }
      await host.close();
    }
    await Promise.all(stores.map((each) => each.close()));
  }, 180_000);

  it("never refuse falsely what another host has just made possible, 100 times at followers", async () => {
    const stream = freshStream();
    const founder = await open(stream);
    await founder.append(account("alice"), deposited(1), { expectedVersion: 0 });
    const leader = await leaderOf(cluster, stream);
    const followers = cluster.nodes.filter((node) => node !== leader);
    const hosts = [];
    const stores = [];
    for (const { url } of followers) {
      const store = await EventStore.connect<Bank>({
        servers: [url],
        stream,
        ...patient,
        ignoreClusterUpdates: true,
      });
      stores.push(store);
      hosts.push(await ActorHost.start(store, [kind]));
    }
    const [one, other] = hosts;
    for (let round = 1; round <= 100; round++) {
      const [giver, taker] = round % 2 === 0 ? [one, other] : [other, one];
      const alice = account("alice");
      await giver?.send(alice, deposit(1));
      expect(await giver?.state(alice)).toMatchObject({ balance: 2 });
      expect(await taker?.send(alice, withdraw(2))).toMatchObject({ state: { balance: 0 } });
      await taker?.send(alice, deposit(1));
    }
    for (const host of hosts) await host.close();
    for (const store of [founder, ...stores]) await store.close();
  }, 120_000);
});
