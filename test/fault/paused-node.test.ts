import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ExpectedVersion } from "../../src/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { auditStream } from "../support/fault-audit.ts";
import { pauseServer } from "../support/fault-pause.ts";
import {
  appendOne,
  counted,
  counter,
  type CountingStore,
  openStore,
  versionsOf,
} from "../support/fault-store.ts";
import { eventually, freshStream } from "../support/server.ts";
import { publishTo, startWire, type Wire } from "../support/wire.ts";

let cluster: NatsServer;

beforeAll(async () => {
  cluster = await startServer({ cluster: 3, sync: "default" });
});

afterAll(() => cluster.stop());

/** The nodes of a stream's replicas. */
interface Roles {
  readonly leader: NatsServer;
  readonly follower: NatsServer;
}

async function rolesOf(stream: string): Promise<Roles> {
  const nc = await connect({ servers: cluster.url.split(",") });
  try {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    return await eventually(async (): Promise<Roles> => {
      const leading = (await manager.streams.info(stream)).cluster?.leader;
      const leader = cluster.nodes.find((_, at) => leading === `annal-${at + 1}`);
      const follower = cluster.nodes.find((node) => node !== leader);
      if (leader === undefined || follower === undefined) throw new Error("no leader is known");
      return { leader, follower };
    });
  } finally {
    await nc.close();
  }
}

/** A store that talks to a follower first, and to the leader when it loses that; both by wires. */
interface Stage extends AsyncDisposable {
  readonly roles: Roles;
  readonly nearFollower: Wire;
  readonly nearLeader: Wire;
  readonly store: CountingStore;
  /** At the leader, without wires. */
  readonly witness: CountingStore;
  readonly subject: string;
}

async function openStage(): Promise<Stage> {
  const stream = freshStream();
  const founder = await openStore(cluster.url, stream, { replicas: 3 });
  await appendOne(founder, "alice", 0);
  await founder.close();
  const roles = await rolesOf(stream);
  const witness = await openStore(roles.leader.url, stream, { replicas: 3 });
  const nearFollower = await startWire(roles.follower.url);
  const nearLeader = await startWire(roles.leader.url);
  const options = { replicas: 3, noRandomize: true, ackTimeoutMs: 200, appendTimeoutMs: 20_000 };
  const store = await openStore(`${nearFollower.url},${nearLeader.url}`, stream, options);
  expect(nearFollower.connections).toBe(1);
  await store.latestVersion(counter("alice"));
  return {
    roles,
    nearFollower,
    nearLeader,
    store,
    witness,
    subject: `${stream.toLowerCase()}.counter.alice`,
    async [Symbol.asyncDispose]() {
      await roles.follower.resume();
      await Promise.all([store.close(), witness.close()]);
      await Promise.all([nearFollower.close(), nearLeader.close()]);
    },
  };
}

/** Sends an append into the paused follower, then moves the store over to the leader. */
async function sendIntoPausedFollower<T>(
  stage: Stage,
  send: () => Promise<T>,
): Promise<Promise<T>[]> {
  const { roles, nearFollower, subject } = stage;
  await pauseServer(roles.follower);
  nearFollower.reset();
  const appending = send();
  appending.catch(() => {});
  await eventually(() => nearFollower.count(subject) > 0);
  nearFollower.refuse();
  nearFollower.cut();
  // in a list, because an async function would wait for a bare promise
  return [appending];
}

describe("V13 a publish that is still on its way through a paused node", () => {
  it.each([1, "any"] satisfies ExpectedVersion[])(
    "while the leader shows the old head is stored once, by its repetition (expected %s)",
    async (expected) => {
      await using stage = await openStage();
      const { store, witness, roles } = stage;
      const [appending] = await sendIntoPausedFollower(stage, () =>
        appendOne(store, "alice", expected),
      );
      const result = await appending;
      expect(result).toMatchObject({ version: 2, replayed: false });
      await roles.follower.resume();
      // what the follower held must have reached the leader before anything is concluded
      await appendOneThrough(roles.follower, store.stream, "bob");
      expect(await versionsOf(witness, "alice")).toEqual([1, 2]);
      expect(await auditStream(witness, [])).toHaveLength(3);
    },
  );

  it("that lands after the leader has shown the old head is reported as stored, not as a conflict", async () => {
    await using stage = await openStage();
    const { store, witness, roles, nearLeader, subject } = stage;
    const repeated = nearLeader.hold(publishTo(subject));
    const [appending] = await sendIntoPausedFollower(stage, () => appendOne(store, "alice", 1));
    await repeated.reached();
    expect(await witness.latestVersion(counter("alice"))).toBe(1);
    await roles.follower.resume();
    await eventually(async () => (await witness.latestVersion(counter("alice"))) === 2, {
      timeoutMs: 15_000,
    });
    repeated.release();
    expect(await appending).toMatchObject({ version: 2, replayed: false });
    await appendOne(witness, "alice", 2);
    expect(await auditStream(witness, [])).toHaveLength(3);
  });

  it("whose deadline passes first is of unknown outcome, and resolves to where it landed", async () => {
    await using stage = await openStage();
    const { store, witness, roles, nearLeader, subject } = stage;
    const repeated = nearLeader.hold(publishTo(subject));
    const [appending] = await sendIntoPausedFollower(stage, () =>
      appendOne(store, "alice", 1, { timeoutMs: 900 }),
    );
    const [outcome] = await Promise.allSettled([appending]);
    expect(outcome).toMatchObject({ reason: { code: "append_outcome_unknown" } });
    if (outcome.status !== "rejected") throw new Error("unreachable");
    expect(await witness.latestVersion(counter("alice"))).toBe(1);
    await roles.follower.resume();
    await eventually(async () => (await witness.latestVersion(counter("alice"))) === 2, {
      timeoutMs: 15_000,
    });
    repeated.release();
    const results = await store.resolve(outcome.reason);
    expect(results.map(({ version }) => version)).toEqual([2]);
    expect(await auditStream(witness, [])).toHaveLength(2);
  });

  it("of an appendAll is stored once", async () => {
    await using stage = await openStage();
    const { store, witness, roles } = stage;
    await appendOne(store, "bob", 0);
    const entries = ["alice", "bob"].map((id) => ({
      actor: counter(id),
      events: [counted("batch", 1)],
      expectedVersion: 1,
    }));
    const [appending] = await sendIntoPausedFollower(stage, () => store.appendAll(entries));
    const results = (await appending) ?? [];
    expect(results.map(({ version }) => version)).toEqual([2, 2]);
    await roles.follower.resume();
    await appendOneThrough(roles.follower, store.stream, "carol");
    expect(await auditStream(witness, [])).toHaveLength(5);
  });
});

/** Appends by way of one node: what that node had taken before is through then. */
async function appendOneThrough(node: NatsServer, stream: string, id: string): Promise<void> {
  await using store = await openStore(node.url, stream, {
    replicas: 3,
    connectTimeoutMs: 20_000,
    appendTimeoutMs: 20_000,
  });
  await appendOne(store, id, "any");
}
