/**
 * Many appends in flight to distinct actors, against the client library's own publish with the same expectation, and
 * against the least that a client can do.
 *
 * npm run bench -- append [--quick] [--rounds N] [--json FILE]
 */
import { createInbox, headers, type MsgHdrs } from "@nats-io/nats-core";
import { EventStore } from "../src/index.ts";
import { sampleEvent } from "./support/history.ts";
import { readOptions } from "./support/options.ts";
import { Report } from "./support/report.ts";
import { type Contender, inLanes, perSecond, takeTurns } from "./support/rounds.ts";
import { type BenchTarget, openTarget } from "./support/target.ts";

const IN_FLIGHT = 1_024;

interface Setting {
  readonly target: BenchTarget;
  readonly store: EventStore;
  readonly prefix: string;
  /** As long as what the store sends. */
  readonly payload: Uint8Array;
  readonly appends: number;
}

const options = readOptions();
const appends = options.quick ? 500 : 10_000;
const appendsSynced = options.quick ? 200 : 4_000;
/** Short rounds, but many: what else the machine does comes in bursts. */
const rounds = options.quick ? options.rounds : options.rounds * 3;
const report = new Report("append", options.quick, {
  inFlight: IN_FLIGHT,
  appends,
  appendsSynced,
  rounds,
});
const machine = await compare("default sync", "default", appends);
await compare("sync always", "always", appendsSynced);
await report.finish(machine, options.json);

async function compare(
  label: string,
  sync: "default" | "always",
  appends: number,
): Promise<BenchTarget["machine"]> {
  await using target = await openTarget({ sync });
  const stream = target.freshStream();
  const prefix = stream.toLowerCase();
  const store = await EventStore.connect({ servers: target.url, stream });
  try {
    const payload = await storedPayload(target, store, prefix);
    if (sync === "default") report.add("payload", "B", [payload.length]);
    const setting = { target, store, prefix, payload, appends };
    const cpu = new Map<string, number[]>();
    const figures = await takeTurns(rounds, withCpu(contenders(setting), appends, cpu));
    const shown = [
      ["new actors", "New", figures.libraryNew, figures.storeNew, figures.bareNew],
      ["known actors", "Known", figures.libraryKnown, figures.storeKnown, figures.bareKnown],
    ] as const;
    for (const [what, suffix, library, ours, bare] of shown) {
      const about = `${label}, ${what}`;
      report.add(`${about}: js.publish`, "appends/s", library);
      report.add(`${about}: store.append`, "appends/s", ours);
      report.add(`${about}: bare publish through one inbox`, "appends/s", bare);
      const ratio = report.ratio(`${about}: store.append / js.publish`, ours, library);
      report.ratio(`${about}: store.append / bare publish`, ours, bare);
      for (const [who, name] of [
        ["library", "js.publish"],
        ["store", "store.append"],
        ["bare", "bare publish"],
      ] as const) {
        report.add(`${about}: client CPU of ${name}`, "us", cpu.get(`${who}${suffix}`) ?? []);
      }
      if (sync === "default") report.target(`append, ${what}`, "x", ratio, "at least", 3);
    }
    return target.machine;
  } finally {
    await store.close();
  }
}

/** Each round appends first to actors that nobody knows, then once more to the same. */
function contenders(setting: Setting): Record<ContenderName, Contender> {
  const sequences = { plain: new Array<number>(), bare: new Array<number>() };
  return {
    libraryNew: (round) => withLibrary(setting, round, sequences.plain, false),
    storeNew: (round) => withStore(setting, round, "none"),
    bareNew: (round) => withBare(setting, round, sequences.bare, false),
    libraryKnown: (round) => withLibrary(setting, round, sequences.plain, true),
    storeKnown: (round) => withStore(setting, round, 1),
    bareKnown: (round) => withBare(setting, round, sequences.bare, true),
  };
}

/** Notes the client's CPU time an append, which other work on the machine disturbs less than the wall time. */
function withCpu(
  contenders: Record<ContenderName, Contender>,
  appends: number,
  cpu: Map<string, number[]>,
): Record<ContenderName, Contender> {
  const counted = Object.entries<Contender>(contenders).map(([name, contender]) => {
    const found: number[] = [];
    cpu.set(name, found);
    const measured: Contender = async (round) => {
      const before = process.cpuUsage();
      const figure = await contender(round);
      const { user, system } = process.cpuUsage(before);
      if (round > 0) found.push((user + system) / appends);
      return figure;
    };
    return [name, measured];
  });
  return Object.fromEntries(counted) as Record<ContenderName, Contender>;
}

type ContenderName =
  | "libraryNew"
  | "storeNew"
  | "bareNew"
  | "libraryKnown"
  | "storeKnown"
  | "bareKnown";

function withStore(
  { store, appends }: Setting,
  round: number,
  expectedVersion: number | "none",
): Promise<number> {
  return inLanes(appends, IN_FLIGHT, (at) =>
    store.append({ type: "stored", id: `${round}-${at}` }, [sampleEvent(at)], { expectedVersion }),
  );
}

function withLibrary(
  { target, prefix, payload, appends }: Setting,
  round: number,
  sequences: number[],
  known: boolean,
): Promise<number> {
  return inLanes(appends, IN_FLIGHT, async (at) => {
    const commit = headers();
    commit.set("Annal-Commit", `library-${round}-${at}`);
    commit.set("Annal-Version", known ? "2.1" : "1.0");
    const lastSubjectSequence = known ? (sequences[at] ?? 0) : 0;
    const ack = await target.js.publish(`${prefix}.plain.${round}-${at}`, payload, {
      headers: commit,
      expect: { lastSubjectSequence },
      timeout: 10_000,
    });
    sequences[at] = ack.seq;
  });
}

/** No promises, one inbox, one publish for each answer. */
async function withBare(
  { target: { nc }, prefix, payload, appends }: Setting,
  round: number,
  sequences: number[],
  known: boolean,
): Promise<number> {
  const inbox = createInbox();
  const startedAt = performance.now();
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    let answered = 0;
    const send = (): void => {
      const at = sent++;
      const expected = known ? (sequences[at] ?? 0) : 0;
      nc.publish(`${prefix}.bare.${round}-${at}`, payload, {
        headers: commitHeaders(expected, `bare-${round}-${at}`, known ? "2.1" : "1.0"),
        reply: `${inbox}.${at}`,
      });
    };
    const subscription = nc.subscribe(`${inbox}.*`, {
      callback: (_error, message) => {
        const sequence = sequenceOf(message.string());
        if (sequence === undefined) return reject(new Error(message.string()));
        sequences[Number(message.subject.slice(inbox.length + 1))] = sequence;
        if (sent < appends) send();
        if (++answered < appends) return;
        subscription.unsubscribe();
        resolve();
      },
    });
    while (sent < Math.min(IN_FLIGHT, appends)) send();
  });
  return perSecond(appends, startedAt);
}

function commitHeaders(expected: number, commitId: string, version: string): MsgHdrs {
  const block = headers();
  block.set("Nats-Expected-Last-Subject-Sequence", String(expected));
  block.set("Annal-Commit", commitId);
  block.set("Annal-Version", version);
  return block;
}

function sequenceOf(ack: string): number | undefined {
  const found = /"seq":\s*(\d+)/.exec(ack)?.[1];
  return found === undefined ? undefined : Number(found);
}

async function storedPayload(
  { jsm }: BenchTarget,
  store: EventStore,
  prefix: string,
): Promise<Uint8Array> {
  const actor = { type: "sample", id: "one" };
  await store.append(actor, [sampleEvent(1)], { expectedVersion: "none" });
  const last_by_subj = `${prefix}.sample.one`;
  const message = await jsm.direct.getMessage(store.stream, { last_by_subj });
  if (message === null) throw new Error("the sample is not there");
  return message.data.slice();
}
