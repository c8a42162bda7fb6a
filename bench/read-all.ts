/**
 * Reading a whole stream, against the bare ordered consumer over the same; and commits of ten events against commits
 * of one.
 *
 * npm run bench -- read-all [--messages N] [--quick] [--rounds N] [--json FILE]
 */
import { EventStore } from "../src/index.ts";
import { ensureHistory, type History, shapeOf } from "./support/history.ts";
import { readOptions } from "./support/options.ts";
import { Report } from "./support/report.ts";
import { perSecond, takeTurns } from "./support/rounds.ts";
import { openTarget } from "./support/target.ts";

const MAX_MESSAGES = 5_000;
const EVENTS = 10;

const options = readOptions();
const shape = shapeOf(options.messages);
const rounds = Math.min(options.rounds, 3);
const events = shape.actors * shape.commits;
const report = new Report("read-all", options.quick, { events, rounds });
await using target = await openTarget({ sync: "default" });
const ones = await ensureHistory(target, shape);
const tens = await ensureHistory(target, {
  actors: shape.actors,
  commits: shape.commits / EVENTS,
  events: EVENTS,
});
const storeOfOnes = await EventStore.connect({ servers: target.url, stream: ones.stream });
const storeOfTens = await EventStore.connect({ servers: target.url, stream: tens.stream });

const figures = await takeTurns(rounds, {
  bare: () => readBare(ones),
  all: () => readAll(storeOfOnes),
  commits: () => readCommits(storeOfOnes),
  bareTens: () => readBare(tens),
  allTens: () => readAll(storeOfTens),
  commitsTens: () => readCommits(storeOfTens),
});
await storeOfOnes.close();
await storeOfTens.close();

report.add("commits of 1: ordered consumer, bare", "events/s", figures.bare);
report.add("commits of 1: store.readAll", "events/s", figures.all);
report.add("commits of 1: store.readCommits", "events/s", figures.commits);
report.add(`commits of ${EVENTS}: ordered consumer, bare`, "events/s", figures.bareTens);
report.add(`commits of ${EVENTS}: store.readAll`, "events/s", figures.allTens);
report.add(`commits of ${EVENTS}: store.readCommits`, "events/s", figures.commitsTens);
const share = report.ratio("readAll / ordered consumer", figures.all, figures.bare);
report.ratio("readCommits / ordered consumer", figures.commits, figures.bare);
const gain = report.ratio("readAll: commits of 10 / commits of 1", figures.allTens, figures.all);
report.ratio("readCommits: commits of 10 / commits of 1", figures.commitsTens, figures.commits);
report.target("readAll against the ordered consumer", "x", share, "at least", 0.6);
report.target("readAll, commits of 10 against commits of 1", "x", gain, "at least", 3);
await report.finish(target.machine, options.json);

async function readAll(store: EventStore): Promise<number> {
  const startedAt = performance.now();
  let read = 0;
  for await (const _event of store.readAll()) read += 1;
  return rate(read, startedAt);
}

async function readCommits(store: EventStore): Promise<number> {
  const startedAt = performance.now();
  let read = 0;
  for await (const commit of store.readCommits()) read += commit.events.length;
  return rate(read, startedAt);
}

async function readBare({ stream, actors, commits, events }: History): Promise<number> {
  const wanted = actors * commits;
  const startedAt = performance.now();
  const consumer = await target.js.consumers.get(stream, {});
  let read = 0;
  await new Promise<void>((resolve, reject) => {
    const callback = (): void => {
      read += 1;
      if (read === wanted) resolve();
    };
    consumer
      .consume({ max_messages: MAX_MESSAGES, callback })
      .then(async (messages) => {
        const closed = messages.closed();
        await Promise.race([closed, waitFor(() => read >= wanted)]);
        messages.stop();
      })
      .catch(reject);
  });
  const found = rate(read * events, startedAt);
  await consumer.delete();
  return found;
}

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

function rate(read: number, startedAt: number): number {
  if (read !== events) throw new Error(`read ${read} events instead of ${events}`);
  return perSecond(read, startedAt);
}
