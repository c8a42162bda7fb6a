/**
 * One append after another to one actor, against a bare request that publishes as many bytes with the same headers.
 * The two take turns append by append.
 *
 * npm run bench -- sequential [--quick] [--rounds N] [--json FILE]
 */
import { headers } from "@nats-io/nats-core";
import { EventStore } from "../src/index.ts";
import { sampleEvent } from "./support/history.ts";
import { readOptions } from "./support/options.ts";
import { Report } from "./support/report.ts";
import { percentile } from "./support/statistics.ts";
import { openTarget } from "./support/target.ts";

const options = readOptions();
const appends = options.quick ? 50 : 1_000;
const report = new Report("sequential", options.quick, { appends, rounds: options.rounds });
await using target = await openTarget({ sync: "default" });
const { nc, jsm } = target;
const stream = target.freshStream();
const prefix = stream.toLowerCase();
const store = await EventStore.connect({ servers: target.url, stream });
const actor = { type: "stored", id: "one" };
let version = 0;
let sequence = 0;

const ours: number[][] = [];
const bare: number[][] = [];
for (let round = 0; round <= options.rounds; round += 1) {
  await appendOne();
  const payload = await lastPayload();
  const roundOurs: number[] = [];
  const roundBare: number[] = [];
  for (let at = 0; at < appends; at += 1) {
    const startedAt = performance.now();
    await appendOne();
    const betweenAt = performance.now();
    await requestOne(payload);
    roundOurs.push(betweenAt - startedAt);
    roundBare.push(performance.now() - betweenAt);
  }
  if (round === 0) continue;
  ours.push(roundOurs);
  bare.push(roundBare);
}
await store.close();

for (const percent of [50, 99]) {
  const oursAt = ours.map((latencies) => percentile(latencies, percent));
  const bareAt = bare.map((latencies) => percentile(latencies, percent));
  report.add(`p${percent}: nc.request`, "ms", bareAt);
  report.add(`p${percent}: store.append`, "ms", oursAt);
  const ratio = report.ratio(`p${percent}: store.append / nc.request`, oursAt, bareAt);
  if (percent === 50) report.target("sequential append, p50", "x", ratio, "at most", 1.25);
}
await report.finish(target.machine, options.json);

async function appendOne(): Promise<void> {
  const result = await store.append(actor, [sampleEvent(1)], { expectedVersion: version });
  version = result.version;
}

async function requestOne(payload: Uint8Array): Promise<void> {
  const block = headers();
  block.set("Nats-Expected-Last-Subject-Sequence", String(sequence));
  block.set("Annal-Commit", `bare-${version}`);
  block.set("Annal-Version", `${version}.${version - 1}`);
  const answer = await nc.request(`${prefix}.bare.one`, payload, {
    headers: block,
    timeout: 10_000,
  });
  const ack: unknown = answer.json();
  if (typeof ack !== "object" || ack === null || !("seq" in ack)) throw new Error(answer.string());
  sequence = Number(ack.seq);
}

/** What the store stored last, so that both send as much. */
async function lastPayload(): Promise<Uint8Array> {
  const last_by_subj = `${prefix}.stored.one`;
  const message = await jsm.direct.getMessage(stream, { last_by_subj });
  if (message === null) throw new Error("the last append is not there");
  return message.data.slice();
}
