import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EventStore } from "../../src/index.ts";
import {
  defineProjection,
  kvState,
  memoryState,
  ProjectorFencedError,
  startProjector,
  table,
} from "../../src/projection/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { type Counting, openStore } from "../support/fault-store.ts";
import { StoreProcess } from "../support/fault-process.ts";
import { ProjectorProgram } from "../support/projector-process.ts";
import { added, append, endOf, openPatient, startSums } from "../support/projector-stage.ts";
import { appendSteps, fold, randomSteps, type Script } from "../support/projector-sums.ts";
import { foldsAt, readSteps, Witness } from "../support/projector-witness.ts";
import { eventually, freshStream } from "../support/server.ts";
import { publishTo, startWire } from "../support/wire.ts";

const SEED = Number(process.env["ANNAL_FAULT_SEED"] ?? Date.now() % 1_000_000);
const ACTORS = Array.from({ length: 12 }, (_, n) => `a${n}`);

let server: NatsServer;

beforeEach(async () => {
  server = await startServer();
});

afterEach(() => server.stop());

/** What an actor went through: in another order, or with something twice or left out, it is another number. */
interface Path {
  readonly count: number;
  readonly hash: number;
}

function walk(path: Path | undefined, writer: string, n: number): Path {
  const { count, hash } = path ?? { count: 0, hash: 7 };
  const last = writer.charCodeAt(writer.length - 1);
  return { count: count + 1, hash: (Math.imul(hash, 31) + last * 10_007 + n) | 0 };
}

const paths = defineProjection<Counting>()({
  name: "paths",
  version: 1,
  events: { counter: "all" },
  tables: { path: table<Path>() },
  keys: ({ actor }, t) => [t.path.key(actor.id)],
  apply: ({ actor, data }, t) =>
    t.path.put(actor.id, walk(t.path.get(actor.id), data.writer, data.n)),
});

describe("a projector of a stream that four processes write at once", () => {
  it.each(["in memory", "in a bucket"] as const)(
    "ends equal to a naive fold of the stream, with state %s",
    async (where) => {
      const stream = freshStream();
      await using store = await openStore(server.url, stream);
      const bucket = freshStream("state");
      const state =
        where === "in memory" ? memoryState() : kvState({ bucket, generationEvents: 20 });
      await using projector = await startProjector(store, paths, { state, maxBatchEvents: 50 });
      const writers = await Promise.all(
        ["w1", "w2", "w3", "w4"].map((name) => StoreProcess.start(name, server.url, stream)),
      );
      const answers = await Promise.all(
        writers.map((writer, at) =>
          writer.run({ do: "mix", actors: ACTORS, operations: 250, seed: SEED + at }),
        ),
      );
      expect(answers.map(({ message }) => message)).toEqual(answers.map(() => undefined));
      await Promise.all(writers.map((writer) => writer[Symbol.asyncDispose]()));
      await projector.caughtUp();
      const folded: Record<string, Path> = {};
      let events = 0;
      for await (const { actor, data } of store.readAll()) {
        folded[actor.id] = walk(folded[actor.id], data.writer, data.n);
        events++;
      }
      const projected: Record<string, Path> = {};
      for await (const { id, value } of projector.tables.path.entries()) projected[id] = value;
      expect(projected, `seed ${SEED}`).toEqual(folded);
      expect(projector.status().applied).toBe(events);
      expect(events).toBeGreaterThan(300);
    },
  );
});

describe("two projectors of one state", () => {
  async function stateAndSteps(store: EventStore<Script>, bucket: string): Promise<void> {
    const witness = await Witness.open(store, `${bucket}_v1`);
    const steps = await readSteps(store);
    await witness.look();
    expect(witness.snapshots[0]?.state).toEqual(fold(steps.map(({ step }) => step)));
    expect(witness.snapshots).toEqual([...foldsAt(witness.snapshots, steps)]);
    expect(witness.applied).toBe(steps.length);
  }

  it("K24 that start at once: exactly one goes on, the other is fenced, and nothing is applied twice", async () => {
    for (let round = 0; round < 10; round++) {
      const stream = freshStream();
      const bucket = freshStream("state");
      await using store = await openPatient(server.url, stream);
      await using other = await openPatient(server.url, stream);
      await appendSteps(store, randomSteps(60, SEED + round));
      const both = await Promise.all([startSums(store, bucket), startSums(other, bucket)]);
      const ends: unknown[] = [];
      for (const projector of both) void endOf(projector).then((end) => ends.push(end));
      // The one that is not the writer finds out when it stores.
      await eventually(
        async () => {
          await append(store, added("k0", 1));
          return ends.length > 0;
        },
        { timeoutMs: 10_000 },
      );
      expect(ends).toHaveLength(1);
      expect(ends[0]).toBeInstanceOf(ProjectorFencedError);
      const going = both.filter((projector) => projector.status().phase !== "failed");
      expect(going).toHaveLength(1);
      await going[0]?.caughtUp();
      await stateAndSteps(store, bucket);
      for (const projector of both) await projector.close();
    }
  }, 60_000);

  it("K24 one of which stood still while the other took over: it writes nothing more when it goes on", async () => {
    const stream = freshStream();
    const bucket = freshStream("state");
    await using program = await ProjectorProgram.compile();
    await using store = await openPatient(server.url, stream);
    const witness = await Witness.open(store, `${bucket}_v1`);
    await using zombie = program.fork();
    await appendSteps(store, randomSteps(300, SEED));
    zombie.order({ url: server.url, stream, bucket, generationEvents: 3, maxBatchEvents: 2 });
    await eventually(async () => ((await witness.look())?.checkpoint.applied ?? 0) > 20);
    zombie.stop();
    await using projector = await startSums(store, bucket);
    await projector.waitFor(40);
    zombie.goOn();
    await zombie.told("failed");
    expect(zombie.news.at(-1)).toMatchObject({ started: true, code: "projector_fenced" });
    await projector.waitFor(await appendSteps(store, randomSteps(30, SEED + 1)));
    await stateAndSteps(store, bucket);
  });

  it("K24 one of which is paused with a batch on its way: it ends as soon as that is refused", async () => {
    const stream = freshStream();
    const bucket = freshStream("state");
    await using wire = await startWire(server.url);
    await using store = await openPatient(server.url, stream);
    await using near = await openPatient(wire.url, stream);
    await using paused = await startSums(near, bucket);
    await paused.waitFor(await append(store, added("k0", 1)));
    const held = wire.hold(publishTo(`$KV.${bucket}_v1._checkpoint`));
    await append(store, added("k0", 1));
    await held.reached();
    paused.pause();
    await append(store, added("k0", 1), added("k1", 1), added("k2", 1));
    await eventually(() => paused.status().head > paused.status().position + 1);
    await using projector = await startSums(store, bucket);
    await projector.caughtUp();
    held.release();
    expect(await endOf(paused)).toBeInstanceOf(ProjectorFencedError);
    await stateAndSteps(store, bucket);
  });
});
