/**
 * Actors: commands on warm actors against bare appends; one hot actor against sequential appends; cold loads with and
 * without a snapshot, warm and 12 s after the last read; what 100,000 idle actors hold in memory.
 *
 * npm run bench -- actor [--messages N] [--no-cold] [--quick] [--rounds N] [--json FILE]
 */
import { setTimeout as delay } from "node:timers/promises";
import { ActorHost, type ActorHostOptions, defineActor } from "../src/actor/index.ts";
import { type AnyEvent, EventStore } from "../src/index.ts";
import { actorAt, ensureHistory, sampleEvent, shapeOf } from "./support/history.ts";
import { usedMb } from "./support/memory.ts";
import { readOptions } from "./support/options.ts";
import { Report } from "./support/report.ts";
import { inLanes, perSecond, takeTurns, timed } from "./support/rounds.ts";
import { percentile } from "./support/statistics.ts";
import { openTarget } from "./support/target.ts";

const IN_FLIGHT = 1_024;
const IDLE_ACTORS = 100_000;
const COLD_WAIT_MS = 12_000;
/** Commits behind the snapshot in the measurement of a short tail. */
const TAIL = 3;

/** A state of a few numbers, as small ones are. */
const counter = defineActor({
  type: "account",
  initialState: { events: 0, lastVersion: 0 },
  decide: (command: { readonly number: number }) => [sampleEvent(command.number)],
  evolve: (state, event: AnyEvent) => ({
    events: state.events + 1,
    lastVersion: state.events + event.type.length,
  }),
  snapshot: { every: 100, version: 1 },
});

const options = readOptions();
const { quick, rounds } = options;
const commands = quick ? 500 : 40_000;
const sequential = quick ? 30 : 3_000;
const loads = quick ? 3 : 100;
const coldRounds = 3;
const idleActors = quick ? 1_000 : IDLE_ACTORS;
const shape = shapeOf(options.messages);
const messages = shape.actors * shape.commits;
const report = new Report("actor", quick, { commands, sequential, loads, idleActors, messages });
await using target = await openTarget({ sync: "default" });
await measureWarm();
await measureHot();
await measureLoads();
await measureMemory();
await report.finish(target.machine, options.json);

/** A host on a store of its own: nothing is known to it. */
async function openHost(stream: string, given: ActorHostOptions = {}) {
  const store = await EventStore.connect({ servers: target.url, stream });
  const host = await ActorHost.start(store, [counter], given);
  const close = async (): Promise<void> => {
    await host.close();
    await store.close();
  };
  return { store, host, close };
}

async function measureWarm(): Promise<void> {
  const { store, host, close } = await openHost(target.freshStream(), { snapshotBucket: false });
  const actors = 2 * IN_FLIGHT;
  const versions = new Map<string, number>();
  const found = await takeTurns(rounds, {
    append: () =>
      inLanes(commands, IN_FLIGHT, (at) => {
        const actor = { type: "account", id: `bare-${at % actors}` };
        const expectedVersion = versions.get(actor.id) ?? 0;
        versions.set(actor.id, expectedVersion + 1);
        return store.append(actor, [sampleEvent(at)], { expectedVersion });
      }),
    send: () =>
      inLanes(commands, IN_FLIGHT, (at) => host.send(actorAt(at % actors), { number: at })),
    withId: (round) =>
      inLanes(commands, IN_FLIGHT, (at) =>
        host.send(actorAt(at % actors), { number: at }, { commandId: `${round}-${at}` }),
      ),
  });
  await close();
  report.add(`store.append, ${IN_FLIGHT} in flight`, "appends/s", found.append);
  report.add("host.send, warm actors", "appends/s", found.send);
  report.add("host.send with a command id", "appends/s", found.withId);
  const ratio = report.ratio("host.send / store.append", found.send, found.append);
  report.ratio("host.send with a command id / store.append", found.withId, found.append);
  report.target("warm actors, distinct, against store.append", "x", ratio, "at least", 0.6);
}

async function measureHot(): Promise<void> {
  const { store, host, close } = await openHost(target.freshStream(), { snapshotBucket: false });
  const bare = { type: "account", id: "bare" };
  let version = 0;
  const found = await takeTurns(rounds, {
    append: () =>
      inLanes(sequential, 1, (at) =>
        store.append(bare, [sampleEvent(at)], { expectedVersion: version++ }),
      ),
    send: () => inLanes(sequential, 1, (at) => host.send(actorAt(0), { number: at })),
    queued: () => inLanes(sequential, 100, (at) => host.send(actorAt(0), { number: at })),
  });
  await close();
  report.add("store.append, one after the other", "appends/s", found.append);
  report.add("host.send, one hot actor", "appends/s", found.send);
  report.add("the same, 100 callers", "appends/s", found.queued);
  const ratio = report.ratio("one hot actor / sequential append", found.send, found.append);
  report.target("one hot actor against sequential append", "x", ratio, "at least", 0.8);
}

async function measureLoads(): Promise<void> {
  const { stream } = await ensureHistory(target, shape);
  const bucket = `${stream}_actors`;
  const first = await openHost(stream, { snapshotBucket: bucket });
  // their snapshots are written when the host closes
  const drawn = Array.from({ length: 2 * loads + 2 * coldRounds }, (_, at) => draw(at));
  await inLanes(drawn.length, 16, (at) => first.host.load(actorAt(drawn[at] ?? 0)));
  await first.close();
  const { host, store, close } = await openHost(stream, { snapshotBucket: bucket });
  const plain = await openHost(stream, { snapshotBucket: false });
  const each = async (from: number, load: (actor: number) => Promise<unknown>) => {
    const times: number[] = [];
    for (const actor of drawn.slice(from, from + loads)) {
      times.push(await timed(() => load(actor)));
    }
    return times;
  };
  const whole = await each(0, (actor) => plain.host.load(actorAt(actor)));
  const empty = await each(0, (actor) => host.load(actorAt(actor)));
  const tails = drawn.slice(loads, 2 * loads);
  await inLanes(tails.length, 16, async (at) => {
    for (let count = 0; count < TAIL; count += 1) {
      await store.append(actorAt(tails[at] ?? 0), [sampleEvent(at)], { expectedVersion: "any" });
    }
  });
  const short = await each(loads, (actor) => host.load(actorAt(actor)));
  report.add(`cold actor, ${shape.commits} commits, p50`, "ms", [percentile(whole, 50)]);
  report.add("cold actor, snapshot, empty tail, p50", "ms", [percentile(empty, 50)]);
  report.add(`cold actor, snapshot, ${TAIL} commits behind it, p50`, "ms", [percentile(short, 50)]);
  if (options.cold) await measureCold(drawn.slice(2 * loads), plain.host, host);
  await plain.close();
  await close();
}

/** When the server has dropped the blocks of stream and bucket from its memory. */
async function measureCold(drawn: readonly number[], plain: Host, host: Host): Promise<void> {
  const whole: number[] = [];
  const snapshot: number[] = [];
  for (let round = 0; round < coldRounds; round += 1) {
    await delay(COLD_WAIT_MS);
    snapshot.push(await timed(() => host.load(actorAt(drawn[2 * round] ?? 0))));
    await delay(COLD_WAIT_MS);
    whole.push(await timed(() => plain.load(actorAt(drawn[2 * round + 1] ?? 0))));
  }
  report.add("the same from cold blocks, without a snapshot", "ms", whole);
  const found = report.add("the same from cold blocks, snapshot", "ms", snapshot);
  report.target("cold load with a snapshot, cold blocks", "ms", found, "at most", 15);
}

type Host = Pick<ActorHost<typeof counter>, "load">;

async function measureMemory(): Promise<void> {
  const { host, close } = await openHost(target.freshStream(), { snapshotBucket: false });
  await host.send({ type: "account", id: "first" }, { number: 0 });
  const before = await usedMb();
  const startedAt = performance.now();
  await inLanes(idleActors, IN_FLIGHT, (at) => host.send(actorAt(at), { number: at }));
  const rate = perSecond(idleActors, startedAt);
  const used = (((await usedMb()) - before) * IDLE_ACTORS) / idleActors;
  await close();
  report.add("first commands to new actors", "appends/s", [rate]);
  report.add("100 k idle actors, version cache included", "MB", [used]);
  report.target("100 k idle actors", "MB", used, "at most", 200);
}

/** Actors far from each other. */
function draw(at: number): number {
  return ((at + 1) * 7_919) % shape.actors;
}
