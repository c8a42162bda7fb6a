// Builds the three read models, until it is told to finish or is killed. Started by ../replay-projection.ts.
import { EventStore } from "annal";
import { projectionChannels, startProjector, type TableMap } from "annal/projection";
import { onMessage, readJob, tell } from "../lib/child.ts";
import type { Finish, ProjectorJob, ProjectorReport } from "./messages.ts";
import { bucketOf, type Log, projections } from "./read-models.ts";

const { servers, stream, reset, maxBatchEvents } = readJob<ProjectorJob>();
const finish = new Promise<Finish>((resolve) => onMessage(resolve));
const store = await EventStore.connect<Log>({ servers, stream, create: false });
const appliedHere = new Map<string, number>();

let started = false;
projectionChannels.unit.subscribe(({ projection, events }) => {
  appliedHere.set(projection, (appliedHere.get(projection) ?? 0) + events);
  if (started) report("progress").catch(fail);
});

const projectors = await Promise.all(
  projections.map(async (projection) => {
    const state = bucketOf(stream, projection.name);
    const options = { state, reset, maxBatchEvents };
    const projector = await startProjector<Log, TableMap>(store, projection, options);
    projector.ended.catch(fail);
    return { projector, checkpoint: projector.status() };
  }),
);

function report(kind: ProjectorReport["kind"]): Promise<void> {
  const models = projectors.map(({ projector, checkpoint }) => {
    const status = kind === "started" ? checkpoint : projector.status();
    const { projection: name, applied, phase } = status;
    return { name, applied, phase, appliedHere: appliedHere.get(name) ?? 0 };
  });
  const told: ProjectorReport = { kind, models };
  return tell(told);
}

function fail(error: unknown): void {
  console.error(`\nprojector: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

await report("started");
started = true;

const { position } = await finish;
await Promise.all(projectors.map(({ projector }) => projector.waitFor(position)));
await report("finished");
await Promise.all(projectors.map(({ projector }) => projector.close()));
await store.close();
process.disconnect();
process.exit(0);
