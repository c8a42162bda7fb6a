import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EventStore } from "../../src/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import {
  type ProjectorNews,
  type ProjectorOrder,
  type ProjectorProcess,
  ProjectorProgram,
} from "../support/projector-process.ts";
import type { Script } from "../support/projector-sums.ts";
import { foldsAt, readSteps, Witness } from "../support/projector-witness.ts";
import { randomFrom, Workload } from "../support/projector-workload.ts";
import { eventually, freshStream } from "../support/server.ts";

/** How often something is killed. */
const ROUNDS = Number(process.env["ANNAL_FAULT_ROUNDS"] ?? 200);
const SEED = Number(process.env["ANNAL_FAULT_SEED"] ?? Date.now() % 1_000_000);
const MIN_LIFE_MS = 5;
const MAX_LIFE_MS = 300;

/** A store that goes on however often its server is killed. */
const PATIENT = {
  reconnectTimeWait: 20,
  reconnectJitter: 10,
  appendTimeoutMs: 30_000,
  ackTimeoutMs: 500,
  readTimeoutMs: 30_000,
};

/** Why a projector may not start: the server is down, and whoever runs the service tries again. */
const SERVER_IS_DOWN = new Set(["connection_failed", "read_timeout", "jetstream_unavailable"]);

let server: NatsServer;
let program: ProjectorProgram;

beforeAll(async () => {
  server = await startServer();
  program = await ProjectorProgram.compile();
});

afterAll(async () => {
  await server.stop();
  await program[Symbol.asyncDispose]();
});

/** One process after the other, each with its successor loaded, so that a kill costs no time. */
class Lives implements AsyncDisposable {
  readonly news: ProjectorNews[] = [];
  readonly #order: ProjectorOrder;
  #current: ProjectorProcess | undefined;
  #next: ProjectorProcess = program.fork();

  constructor(order: ProjectorOrder) {
    this.#order = order;
  }

  async kill(): Promise<void> {
    await this.#current?.kill();
    this.news.push(...(this.#current?.news ?? []));
    this.#current = undefined;
  }

  async begin(): Promise<void> {
    const current = this.#next;
    this.#next = program.fork();
    await current.told("loaded");
    current.order(this.#order);
    this.#current = current;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await this.#next.kill();
  }
}

describe("a projector that is killed again and again while others append", () => {
  it(
    `K25 lets every event take effect exactly once, whatever is killed (${ROUNDS} rounds, seed ${SEED})`,
    async () => {
      const random = randomFrom(SEED);
      const stream = freshStream();
      const bucket = freshStream("state");
      await using store = await EventStore.connect<Script>({
        servers: server.url,
        stream,
        ...PATIENT,
      });
      const witness = await Witness.open(store, `${bucket}_v1`);
      witness.watch();
      const workload = new Workload(store, SEED, () => witness.applied);
      const limits = { generationEvents: 7, maxBatchEvents: 5 };
      await using lives = new Lives({ url: server.url, stream, bucket, ...limits });
      await lives.begin();
      const killed = { projector: 0, server: 0, both: 0 };
      for (let round = 0; round < ROUNDS; round++) {
        await delay(MIN_LIFE_MS + random() * (MAX_LIFE_MS - MIN_LIFE_MS));
        const roll = random();
        const victim = roll < 0.5 ? "projector" : roll < 0.75 ? "server" : "both";
        killed[victim]++;
        if (victim !== "server") await lives.kill();
        if (victim !== "projector") await server.kill();
        if (victim === "both" && random() < 0.5) {
          await lives.begin();
          await server.restart();
          continue;
        }
        if (victim !== "projector") await server.restart();
        if (victim !== "server") await lives.begin();
      }
      await workload.stop();
      await eventually(() => witness.applied >= workload.appended, { timeoutMs: 30_000 });
      await witness.stop();
      await lives.kill();

      const steps = await readSteps(store);
      expect(witness.applied).toBe(steps.length);
      const { snapshots } = witness;
      for (const [at, expected] of [...foldsAt(snapshots, steps)].entries()) {
        const { checkpoint, state } = snapshots[at] ?? {};
        expect({ checkpoint, state }, `seed ${SEED}, snapshot ${at}`).toEqual(expected);
      }
      const started = lives.news.filter(({ news }) => news === "started").length;
      const failures = lives.news.filter((one) => one.news === "failed");
      const odd = failures.filter(({ started: late, code }) => late || !SERVER_IS_DOWN.has(code));
      expect(odd).toEqual([]);
      // The kills met projectors at work, and the looks states in between.
      expect(started).toBeGreaterThan((killed.projector + killed.both) / 3);
      expect(snapshots.length).toBeGreaterThan(ROUNDS);
    },
    60_000 + ROUNDS * 2_000,
  );
});
