import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { EventStore } from "../../src/index.ts";
import { CoverageError, kvState, startProjector } from "../../src/projection/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { added, append, endOf, openPatient, startSums } from "../support/projector-stage.ts";
import { appendSteps, fold, randomSteps, type Script, sums } from "../support/projector-sums.ts";
import { Witness } from "../support/projector-witness.ts";
import { pauseServer } from "../support/fault-pause.ts";
import { eventually, freshStream } from "../support/server.ts";
import { answerTo, publishTo, startWire } from "../support/wire.ts";

const SEED = Number(process.env["ANNAL_FAULT_SEED"] ?? Date.now() % 1_000_000);

let server: NatsServer;
let store: EventStore<Script>;
let bucket: string;

beforeEach(async () => {
  server = await startServer();
  store = await openPatient(server.url, freshStream());
  bucket = freshStream("state");
});

afterEach(async () => {
  await store.close();
  await server.stop();
});

describe("a projector whose server comes back", () => {
  it("goes on by itself while it catches up and while it is live", async () => {
    const steps = randomSteps(900, SEED);
    await appendSteps(store, steps.slice(0, 600));
    const projector = await startSums(store, bucket);
    for (const applied of [50, 150, 250]) {
      await eventually(() => projector.status().applied >= applied, { timeoutMs: 20_000 });
      expect(projector.status().phase).toBe("catching_up");
      await server.kill();
      await server.restart();
    }
    await projector.caughtUp();
    for (let at = 600; at < 900; at += 100) {
      await eventually(() => expect(projector.status().phase).toBe("live"));
      await server.kill();
      await server.restart();
      await projector.waitFor(await appendSteps(store, steps.slice(at, at + 100)));
    }
    const witness = await Witness.open(store, `${bucket}_v1`);
    const snapshot = await witness.look();
    expect(snapshot?.state, `seed ${SEED}`).toEqual(fold(steps));
    expect(snapshot?.checkpoint.applied).toBe(900);
    await projector.close();
  });

  it("goes on after the server was away for longer than any request waits", async () => {
    const steps = randomSteps(200, SEED);
    await appendSteps(store, steps);
    const projector = await startSums(store, bucket, { requestTimeoutMs: 100 });
    for (const applied of [20, 60, 100]) {
      await eventually(() => projector.status().applied >= applied, { timeoutMs: 20_000 });
      await server.kill();
      const since = performance.now();
      await eventually(() => performance.now() - since > 700);
      await server.restart();
    }
    await projector.caughtUp();
    const witness = await Witness.open(store, `${bucket}_v1`);
    expect((await witness.look())?.state, `seed ${SEED}`).toEqual(fold(steps));
    await projector.close();
  });

  it("goes on when nobody answers what it fetches", async () => {
    await using wire = await startWire(server.url);
    await using near = await openPatient(wire.url, store.stream);
    const projector = await startSums(near, bucket, { requestTimeoutMs: 100 });
    await projector.waitFor(await append(store, added("a", 1)));
    const lost = wire.drop(answerTo(new RegExp(`DIRECT\\.GET\\.KV_${bucket}_v1`)), 6);
    const more = Array.from({ length: 6 }, (_, n) => added(`k${n}`, 1));
    const position = await append(store, ...more, added("a", 2));
    await projector.waitFor(position);
    expect(lost.frames).toHaveLength(6);
    expect(await projector.tables.sum.get("a")).toBe(3);
    await projector.close();
  });
});

describe("a projector that is closed while its server is gone", () => {
  it.each(["killed", "paused"] as const)("ends in about 5 s where it was %s", async (fate) => {
    await appendSteps(store, randomSteps(400, SEED));
    // The waits of single requests are longer than closing may take.
    const projector = await startSums(store, bucket, { requestTimeoutMs: 30_000 });
    await eventually(() => projector.status().applied >= 50);
    if (fate === "killed") await server.kill();
    else {
      await pauseServer(server);
      onTestFinished(() => server.resume());
    }
    const since = performance.now();
    await projector.close();
    expect(performance.now() - since).toBeLessThan(7_000);
    await endOf(projector);
    expect(["stopped", "failed"]).toContain(projector.status().phase);
  });

  it("leaves nothing running where it had failed with a batch on its way", async () => {
    await using wire = await startWire(server.url);
    await using near = await openPatient(wire.url, store.stream);
    const poisoned = {
      ...sums(),
      apply: (...[event, t]: Parameters<ReturnType<typeof sums>["apply"]>) => {
        sums().apply(event, t);
        if (event.type === "Added" && event.data.key === "poison") t.sum.get("undeclared");
      },
    };
    const state = kvState({ bucket, requestTimeoutMs: 100 });
    const projector = await startProjector(near, poisoned, { state, maxBatchEvents: 1 });
    const checkpoint = `$KV.${bucket}_v1._checkpoint`;
    const lost = wire.drop(publishTo(checkpoint), Number.POSITIVE_INFINITY);
    // With so many waiting, an event is applied while the batch before it is on its way.
    const many = Array.from({ length: 1_100 }, () => added("a", 1));
    await append(store, added("a", 1), added("poison", 1), ...many);
    expect(await endOf(projector)).toBeInstanceOf(CoverageError);
    await lost.reached(2);
    await projector.close();
    const sent = wire.count(checkpoint);
    const since = performance.now();
    await eventually(() => performance.now() - since > 1_000);
    expect(wire.count(checkpoint)).toBe(sent);
  });
});
