import { expect, it } from "vitest";
import { kvState, startProjector } from "../../src/projection/index.ts";
import { startServer } from "../../src/server/index.ts";
import { openPatient } from "../support/projector-stage.ts";
import { appendSteps, fold, randomSteps, sums } from "../support/projector-sums.ts";
import { Witness } from "../support/projector-witness.ts";
import { eventually, freshStream } from "../support/server.ts";

const SEED = Number(process.env["ANNAL_FAULT_SEED"] ?? Date.now() % 1_000_000);

it("projectors that take turns go on after the server was away for longer than a lease and a read", async () => {
  await using server = await startServer();
  const store = await openPatient(server.url, freshStream(), 400);
  const bucket = freshStream("state");
  const options = {
    state: kvState({ bucket, requestTimeoutMs: 300 }),
    standby: true,
    leaseMs: 300,
  } as const;
  const projectors = [
    await startProjector(store, sums(), options),
    await startProjector(store, sums(), options),
  ];
  const phases = (): string[] => projectors.map((projector) => projector.status().phase).toSorted();
  const steps = randomSteps(120, SEED);
  for (let at = 0; at < 120; at += 40) {
    await eventually(() => expect(phases()).toEqual(["live", "standby"]), { timeoutMs: 20_000 });
    await server.kill();
    const since = performance.now();
    await eventually(() => performance.now() - since > 1_500);
    await server.restart();
    const position = await appendSteps(store, steps.slice(at, at + 40));
    await Promise.all(projectors.map((projector) => projector.waitFor(position)));
  }
  await eventually(() => expect(phases()).toEqual(["live", "standby"]), { timeoutMs: 20_000 });
  const witness = await Witness.open(store, `${bucket}_v1`);
  const snapshot = await witness.look();
  expect(snapshot?.state, `seed ${SEED}`).toEqual(fold(steps));
  expect(snapshot?.checkpoint.applied).toBe(120);
  await Promise.all(projectors.map((projector) => projector.close()));
  await store.close();
});
