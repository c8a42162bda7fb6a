// A process that wrote nothing replays the stream and compares it with the log. Started by ../multi-writer.ts.
import { EventStore } from "annal";
import { Audit } from "./audit.ts";
import { readJob, tell } from "./child.ts";
import { ACTOR_TYPE, type LogEvent, loadLog } from "./event-log.ts";

/** Actors that are read at once. */
const ACTORS_AT_ONCE = 64;

const job = readJob();
const { servers, stream } = job;
const store = await EventStore.connect<{ [ACTOR_TYPE]: LogEvent }>({
  servers,
  stream,
  create: false,
});
const audit = new Audit(loadLog(job.source));
/** Positions of each actor's events, in the order of the stream. */
const positions = new Map<string, number[]>();
const unreadable: string[] = [];
try {
  for await (const event of store.readAll()) {
    audit.take(event);
    const known = positions.get(event.actor.id);
    if (known === undefined) positions.set(event.actor.id, [event.position]);
    else known.push(event.position);
  }
} catch (error) {
  unreadable.push(String(error));
}

const astray: string[] = [];
const actors = positions.entries();
const readActors = async (): Promise<void> => {
  for (const [id, expected] of actors) {
    const found: number[] = [];
    try {
      for await (const event of store.read({ type: ACTOR_TYPE, id })) found.push(event.position);
    } catch (error) {
      astray.push(`${id}: ${String(error)}`);
      continue;
    }
    if (found.join() !== expected.join()) astray.push(`${id}: read alone, it has other events`);
  }
};
await Promise.all(Array.from({ length: ACTORS_AT_ONCE }, readActors));
await store.close();

const claims = [
  { text: "the stream can be read from its start to its end", violations: unreadable },
  ...audit.claims(),
  { text: "each actor read alone shows the same events", violations: astray },
];
await tell({ kind: "verdict", verdict: { events: audit.events, actors: audit.actors, claims } });
process.disconnect();
process.exit(0);
