import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EventStore } from "../../src/index.ts";
import { kvState, startProjector } from "../../src/projection/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { type ProjectorProcess, ProjectorProgram } from "../support/projector-process.ts";
import {
  appendSteps,
  fold,
  randomSteps,
  type Script,
  type Step,
  sums,
} from "../support/projector-sums.ts";
import { foldsAt, readSteps, type Snapshot, Witness } from "../support/projector-witness.ts";
import { eventually, freshStream } from "../support/server.ts";
import { answerTo, type Match, publishTo, startWire } from "../support/wire.ts";

const SEED = Number(process.env["ANNAL_FAULT_SEED"] ?? Date.now() % 1_000_000);
const LIMITS = { generationEvents: 3, maxBatchEvents: 2 };

let server: NatsServer;
let program: ProjectorProgram;
let store: EventStore<Script>;
let steps: readonly Step[];
let undisturbed: Snapshot | undefined;

beforeAll(async () => {
  server = await startServer();
  program = await ProjectorProgram.compile();
  store = await EventStore.connect<Script>({ servers: server.url, stream: freshStream() });
  steps = randomSteps(40, SEED);
  await appendSteps(store, steps);
  undisturbed = await runUndisturbed();
});

afterAll(async () => {
  await store.close();
  await server.stop();
  await program[Symbol.asyncDispose]();
});

async function runUndisturbed(): Promise<Snapshot | undefined> {
  const bucket = freshStream("state");
  const state = kvState({ bucket, generationEvents: LIMITS.generationEvents });
  const projector = await startProjector(store, sums(), { state, ...LIMITS });
  await projector.caughtUp();
  // Closing stores how far it is also where the last events changed nothing.
  await projector.close();
  return (await Witness.open(store, `${bucket}_v1`)).look();
}

/** What of a snapshot does not depend on who wrote it. */
function essence(snapshot: Snapshot | undefined): unknown {
  const { position, taken, commitId, applied } = snapshot?.checkpoint ?? {};
  return { state: snapshot?.state, position, taken, commitId, applied };
}

/** Chooses from the `nth` frame on that another match chooses. */
function fromNth(nth: number, match: Match): Match {
  let seen = 0;
  return (frame) => match(frame) && ++seen >= nth;
}

/** Chooses all that is written from the `nth` batch on. */
function fromBatch(nth: number, bucket: string): Match {
  const written = publishTo(new RegExp(`^\\$KV\\.${bucket}\\.`));
  const batches = fromNth(nth, (frame) => frame.headers.get("Nats-Batch-Sequence") === "1");
  let begun = false;
  return (frame) => {
    if (!written(frame)) return false;
    begun ||= batches(frame);
    return begun;
  };
}

/** Where a process dies: what it had on its way is lost. */
interface CrashPoint {
  readonly where: string;
  /** What it is never to send, or to see, from its `nth` batch on. */
  readonly lost: (bucket: string, nth: number) => Match;
  /** Batches that this life has stored by then, at least. */
  readonly stored: (nth: number) => number;
}

const checkpointOf = (bucket: string): string => `$KV.${bucket}._checkpoint`;
const fetchOf = (bucket: string): RegExp => new RegExp(`DIRECT\\.GET\\.KV_${bucket}$`);

const CRASH_POINTS: readonly CrashPoint[] = [
  {
    where: "before it claims the state",
    lost: (bucket) => publishTo(checkpointOf(bucket)),
    stored: () => 0,
  },
  {
    where: "before it sees that it has claimed the state",
    lost: (bucket) => answerTo(checkpointOf(bucket)),
    stored: () => 0,
  },
  {
    where: "before it fetches keys",
    lost: (bucket, nth) => fromNth(nth, publishTo(fetchOf(bucket))),
    stored: () => 0,
  },
  {
    where: "before it sees what it fetched",
    lost: (bucket, nth) => fromNth(nth, answerTo(fetchOf(bucket))),
    stored: () => 0,
  },
  {
    where: "after it applied events, and saw the ack of the batch before, with nothing sent",
    lost: (bucket, nth) => fromBatch(nth, bucket),
    stored: (nth) => nth - 1,
  },
  {
    where: "with a batch sent in part, without its checkpoint",
    // The claim was the first that it wrote there.
    lost: (bucket, nth) => fromNth(nth + 1, publishTo(checkpointOf(bucket))),
    stored: (nth) => nth - 1,
  },
  {
    where: "between sending a batch and its ack",
    lost: (bucket, nth) => fromNth(nth + 1, answerTo(checkpointOf(bucket))),
    stored: (nth) => nth,
  },
];

/** A projector's process that is lost at a point; tells how far the state is then. */
async function crash(
  bucket: string,
  match: Match,
  witness: Witness,
  from: EventStore<Script> = store,
): Promise<Snapshot | undefined> {
  await using wire = await startWire(server.url);
  await using process = program.fork();
  const held = wire.hold(match);
  process.order({ url: wire.url, stream: from.stream, bucket, ...LIMITS });
  await held.reached();
  await process.kill();
  return witness.look();
}

/** A projector's process that nothing happens to, until it has applied so many events. */
async function runUntil(
  applied: number,
  bucket: string,
  witness: Witness,
  from: EventStore<Script> = store,
): Promise<ProjectorProcess> {
  const process = program.fork();
  process.order({ url: server.url, stream: from.stream, bucket, ...LIMITS });
  await eventually(async () => (await witness.look())?.checkpoint.applied === applied);
  return process;
}

/** Appends one event at a time, so that they lie in commits of their own. */
async function append(to: EventStore<Script>, ...all: readonly Step[]): Promise<void> {
  for (const step of all) {
    await to.append({ type: "script", id: "one" }, [step], { expectedVersion: "any" });
  }
}

const added = (key: string, n: number): Step => ({ type: "Added", data: { key, n } });
/** More than two generations. */
const elsewhere: readonly Step[] = Array.from({ length: 7 }, () => added("k1", 1));

describe("a projector that is killed (kill -9)", () => {
  for (const { where, lost, stored } of CRASH_POINTS) {
    it(`K12 ${where}, and is started again, ends with the state of an undisturbed run`, async () => {
      const bucket = freshStream("state");
      const version = `${bucket}_v1`;
      const witness = await Witness.open(store, version);
      let before = 0;
      for (const nth of [1, 2, 3]) {
        const snapshot = await crash(bucket, lost(version, nth), witness);
        const applied = snapshot?.checkpoint.applied ?? 0;
        expect(applied - before, `seed ${SEED}`).toBeGreaterThanOrEqual(stored(nth));
        before = applied;
      }
      await using _ = await runUntil(steps.length, bucket, witness);
      expect(essence(await witness.look()), `seed ${SEED}`).toEqual(essence(undisturbed));
      expect(witness.snapshots.at(-1)?.state).toEqual(fold(steps));
      const placed = await readSteps(store);
      expect(witness.snapshots).toEqual([...foldsAt(witness.snapshots, placed)]);
    });
  }

  it("K13 right after it deleted a key that had left the cache does not bring it back", async () => {
    await using own = await EventStore.connect<Script>({
      servers: server.url,
      stream: freshStream(),
    });
    const bucket = freshStream("state");
    const witness = await Witness.open(own, `${bucket}_v1`);
    const sumsThere = async (): Promise<unknown> => (await witness.look())?.state["sum"];
    await append(own, added("k0", 5), ...elsewhere);
    await (await runUntil(8, bucket, witness, own)).kill();
    await append(own, { type: "Removed", data: { key: "k0" } });
    const ackOfBatch = fromNth(2, answerTo(checkpointOf(`${bucket}_v1`)));
    await crash(bucket, ackOfBatch, witness, own);
    expect(await sumsThere()).toEqual({ k1: 7 });
    for (const applied of [16, 23]) {
      await append(own, ...elsewhere);
      await (await runUntil(applied, bucket, witness, own)).kill();
      expect(Object.keys(Object(await sumsThere()))).toEqual(["k1"]);
    }
    await append(own, added("k0", 3));
    await using _ = await runUntil(24, bucket, witness, own);
    expect(await sumsThere()).toEqual({ k0: 3, k1: 21 });
  });
});
