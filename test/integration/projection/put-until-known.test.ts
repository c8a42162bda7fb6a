import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { expect, it, onTestFinished } from "vitest";
import { JetStreamUnavailableError, ServerRefusedError } from "../../../src/index.ts";
import type { Bucket } from "../../../src/nats/bucket.ts";
import { claimIdentity } from "../../../src/projection/bucket-identity.ts";
import { makeLive } from "../../../src/projection/live-version.ts";
import { putUntilKnown } from "../../../src/projection/put-until-known.ts";
import { beginNow } from "../../../src/projection/reactor-checkpoint.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import { natsUrl } from "../../support/server.ts";
import { answerTo, publishTo, startWire } from "../../support/wire.ts";
import { bounds, type BucketStage, openBucketStage, textOf, write } from "../nats/bucket-stage.ts";
import { Notes, openReactorBucket, openShop, place, react } from "./reactor-stage.ts";
import { sums } from "./stage.ts";

async function open(url = natsUrl()): Promise<BucketStage> {
  const stage = await openBucketStage(url);
  onTestFinished(() => stage.close());
  return stage;
}

/** Makes the server refuse what is written there from now on. */
async function limit(bucket: Bucket, limits: Partial<StreamConfig>): Promise<void> {
  const { nc } = await open();
  await (await jetstreamManager(nc)).streams.update(`KV_${bucket.name}`, limits);
}

it("fails where a bucket is full, whoever writes an entry of his own there", async () => {
  const store = await openShop();
  const bucket = await (await open()).open();
  await write(bucket, "ballast", "x");
  await limit(bucket, { max_bytes: 1 });
  const owner = { projection: sums(), values: "msgpack", stream: store.stream } as const;
  const { context } = internalsOf(store);
  const writing = [
    claimIdentity(bucket, owner, bounds),
    makeLive(bucket, 1, bounds.timeoutMs, AbortSignal.timeout(5_000)),
    beginNow(context, bucket, "mailer.checkpoint", AbortSignal.timeout(5_000)),
  ];
  for (const failure of await Promise.allSettled(writing)) {
    expect(failure).toMatchObject({ reason: expect.any(ServerRefusedError) });
  }
});

it("fails where a dead letter cannot be replaced because the server refuses it", async () => {
  const store = await openShop();
  const notes = new Notes(() => {
    throw new Error("no luck");
  });
  const name = `reactors_${store.stream}`;
  const options = { bucket: name, onFailure: "park", maxAttempts: 1, leaseMs: 60_000 } as const;
  const reactor = await react(store, notes, options);
  await place(store, 1);
  await reactor.caughtUp();
  const [letter] = await reactor.deadLetters();
  await limit(await openReactorBucket(store, name), { max_msg_size: 16 });
  const signal = AbortSignal.timeout(5_000);
  const retrying = reactor.retryDeadLetter(letter?.id ?? "", { signal });
  await expect(retrying).rejects.toThrow(ServerRefusedError);
});

it("gives up where no write is ever answered, as without the permission to publish", async () => {
  await using wire = await startWire(natsUrl());
  const bucket = await (await open(wire.url)).open();
  wire.drop(publishTo(/^\$KV\./), Number.POSITIVE_INFINITY);
  const writing = putUntilKnown(bucket, "k", () => Buffer.from("1"), { timeoutMs: 100 });
  await expect(writing).rejects.toThrow(JetStreamUnavailableError);
});

it("takes its own write for it whose answer got lost, and writes it once", async () => {
  await using wire = await startWire(natsUrl());
  const bucket = await (await open(wire.url)).open();
  wire.drop(answerTo(/^\$KV\./));
  const data = Buffer.from("mine");
  await putUntilKnown(bucket, "k", (standing) => (textOf(standing) === "mine" ? undefined : data), {
    timeoutMs: 200,
  });
  expect(wire.count(/^\$KV\./)).toBe(1);
  expect(textOf(await bucket.get("k", bounds))).toBe("mine");
});

it("decides anew, and waits in between, where others are faster", async () => {
  const bucket = await (await open()).open();
  let seen = 0;
  await putUntilKnown(
    bucket,
    "k",
    async (standing) => {
      if (++seen < 4) await write(bucket, "k", `theirs ${seen}`);
      return Buffer.from(`behind ${textOf(standing)}`);
    },
    bounds,
  );
  expect(textOf(await bucket.get("k", bounds))).toBe("behind theirs 3");
  expect(seen).toBe(4);
});
