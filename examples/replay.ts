// Folds all actors of a stream into counts by type, and shows how far it is.
// npm run example -- replay [--events N]        makes a stream of its own first
// NATS_URL=… npm run example -- replay --stream NAME        replays that one
import { parseArgs } from "node:util";
import { EventStore } from "annal";
import { useServer } from "annal/server";
import { ProgressLine } from "./lib/progress-line.ts";
import { holds, printClaims } from "./lib/proof.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatCount, formatTable } from "./lib/table.ts";
import { generateRows } from "./multi-writer/generated-log.ts";

const APPENDS_AT_ONCE = 512;
/** Actors whose version is asked of the server and compared with the fold. */
const ASKED_AT_ONCE = 256;
const SHOW_EVERY_EVENTS = 250;

interface TypeCount {
  events: number;
  readonly actors: Set<string>;
}

/** Appends a generated log, many actors at once, each actor's events in order. */
async function generate(store: EventStore, events: number): Promise<void> {
  const histories = new Map<string, string[]>();
  for (const { actorId, eventType } of generateRows(1, events)) {
    const known = histories.get(actorId);
    if (known === undefined) histories.set(actorId, [eventType]);
    else known.push(eventType);
  }
  const progress = new ProgressLine(process.stdout);
  let stored = 0;
  const waiting = histories.entries();
  const appendActors = async (): Promise<void> => {
    for (const [id, types] of waiting) {
      for (const [version, type] of types.entries()) {
        await store.append({ type: "order", id }, [{ type }], { expectedVersion: version });
        if (++stored % SHOW_EVERY_EVENTS === 0) show();
      }
    }
  };
  const show = (): void => progress.show(stored / events, `${formatCount(stored)} events appended`);
  await Promise.all(Array.from({ length: APPENDS_AT_ONCE }, appendActors));
  show();
  progress.end();
}

/** What a replay makes of a stream. */
interface Fold {
  readonly counts: ReadonlyMap<string, TypeCount>;
  /** Version of each actor's last event, by `<type>/<id>`. */
  readonly versions: ReadonlyMap<string, number>;
  readonly events: number;
  readonly gaps: readonly string[];
}

async function replay(store: EventStore): Promise<Fold> {
  const head = await store.head();
  const progress = new ProgressLine(process.stdout);
  const counts = new Map<string, TypeCount>();
  const versions = new Map<string, number>();
  const gaps: string[] = [];
  const startedAt = performance.now();
  let events = 0;
  let position = 0;
  const show = (): void => {
    const perSecond = (1_000 * events) / Math.max(1, performance.now() - startedAt);
    progress.show(
      head === 0 ? 1 : position / head,
      `${formatCount(events)} events · ${formatCount(perSecond)}/s · ${formatCount(versions.size)} actors`,
    );
  };
  for await (const event of store.readAll()) {
    const name = `${event.actor.type}/${event.actor.id}`;
    const expected = (versions.get(name) ?? 0) + 1;
    if (event.version !== expected)
      gaps.push(`${name}: version ${event.version} after ${expected - 1}`);
    versions.set(name, event.version);
    const key = `${event.actor.type}: ${event.type}`;
    const count = counts.get(key) ?? { events: 0, actors: new Set() };
    counts.set(key, count);
    count.events++;
    count.actors.add(name);
    ({ position } = event);
    if (++events % SHOW_EVERY_EVENTS === 0) show();
  }
  show();
  progress.end();
  return { counts, versions, events, gaps };
}

/** Lists the actors by the server, asks for the version of each, and compares. */
async function compare(store: EventStore, { versions }: Fold): Promise<string[]> {
  const differences: string[] = [];
  const unseen = new Set(versions.keys());
  const actors = store.actors();
  const askActors = async (): Promise<void> => {
    for (let next = await actors.next(); next.done !== true; next = await actors.next()) {
      const actor = next.value;
      const name = `${actor.type}/${actor.id}`;
      unseen.delete(name);
      const stored = await store.latestVersion(actor);
      const folded = versions.get(name) ?? 0;
      if (stored !== folded)
        differences.push(`${name}: the server has ${stored}, the fold ${folded}`);
    }
  };
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, askActors));
  for (const name of unseen) differences.push(`${name}: the server does not list it`);
  return differences;
}

const { values } = parseArgs({
  options: { stream: { type: "string" }, events: { type: "string", default: "20000" } },
});
await using server = await useServer({ onProgress: printServerProgress() });
const given = values.stream !== undefined && !server.started;
const stream = values.stream ?? `REPLAY_${Date.now()}`;
await using store = await EventStore.connect({ servers: server.url, stream, create: !given });
if (!given) await generate(store, Number(values.events));

const fold = await replay(store);
const right = { align: "right" } as const;
const columns = [{ title: "type" }, { title: "events", ...right }, { title: "actors", ...right }];
const rows = [...fold.counts].sort(([, a], [, b]) => b.events - a.events);
console.log(
  `\n${formatTable(columns, [
    ...rows.map(([type, count]) => [type, count.events, count.actors.size]),
    undefined,
    ["all", fold.events, fold.versions.size],
  ])}\n`,
);

const claims = [
  { text: "each actor's versions are dense: 1, 2, 3 …", violations: fold.gaps },
  {
    text: "the server lists the same actors, each at the version that the replay came to",
    violations: await compare(store, fold),
  },
  {
    text: "there was something to replay",
    violations: fold.events > 0 ? [] : [`stream ${stream} is empty`],
  },
];
printClaims(claims);
if (holds(claims)) {
  const of = `${formatCount(fold.events)} events of ${formatCount(fold.versions.size)} actors`;
  console.log(`\nProved: ${of}, each folded once, none missing.`);
} else process.exitCode = 1;
if (!server.started) console.log(`The stream ${stream} is left on ${server.url}.`);
