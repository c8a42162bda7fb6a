import { connect, type JetStreamManager, type NatsConnection, StringCodec } from "nats";
import { expect, it, onTestFinished } from "vitest";
import { EventStore } from "../../../src/index.ts";
import { defineProjection, kvState, startProjector, table } from "../../../src/projection/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";

type Notes = {
  note: { type: "Written" | "Erased"; data: { text: string } };
};

/** What other clients rely on: docs/projections.md, "In the bucket". */
const notes = defineProjection<Notes>()({
  name: "notes",
  version: 3,
  events: { note: "all" },
  tables: { text: table<{ text: string }>() },
  policies: { spelling: 2 },
  keys: (event, t) => [t.text.key(event.actor.id)],
  apply: (event, t) => {
    const { text } = event.data;
    if (text === "unheard-of") throw new Error("what is that?");
    if (event.type === "Written") t.text.put(event.actor.id, { text });
    else t.text.delete(event.actor.id);
  },
});

async function foreignClient(): Promise<{
  nc: NatsConnection;
  streams: JetStreamManager["streams"];
}> {
  const nc = await connect({ servers: natsUrl() });
  onTestFinished(() => nc.close());
  return { nc, streams: (await nc.jetstreamManager()).streams };
}

it("shows a client that knows only NATS what docs/projections.md says", async () => {
  const stream = freshStream();
  const bucket = freshStream("notes");
  await using store = await EventStore.connect<Notes>({ servers: natsUrl(), stream });
  const append = (id: string, type: "Written" | "Erased", ...texts: string[]) => {
    const events = texts.map((text) => ({ type, data: { text } }));
    return store.append({ type: "note", id }, events, {
      expectedVersion: "any",
      commitId: `c-${texts[0]}`,
    });
  };
  await append("A.B 1", "Written", "one", "two");
  await append("gone", "Written", "three");
  await append("gone", "Erased", "four");
  await append("odd", "Written", "unheard-of");
  const state = kvState({ bucket, values: "json" });
  await using projector = await startProjector(store, notes, {
    state,
    standby: true,
    onFailure: "park",
  });
  await projector.caughtUp();

  const { nc, streams } = await foreignClient();
  const get = async (of: string, key: string): Promise<unknown> => {
    const kv = await nc.jetstream().views.kv(of, { bindOnly: true });
    return (await kv.get(key))?.json();
  };
  const version = `${bucket}_v3`;
  const position = async (key: string): Promise<string> => {
    const message = await streams.getMessage(`KV_${version}`, {
      last_by_subj: `$KV.${version}.${key}`,
    });
    return message.header.get("Annal-Position");
  };
  expect(await get(bucket, "live")).toEqual({ format: 1, version: 3, bucket: version });
  expect(await get(bucket, "lease.v3")).toEqual({
    holder: expect.any(String),
    ttlMs: 3_000,
    renewal: expect.any(String),
  });
  expect(await get(version, "text.A=2EB=201")).toEqual({ text: "two" });
  expect(await position("text.A=2EB=201")).toBe("1.1");
  expect(await get(version, "_projection")).toMatchObject({
    name: "notes",
    version: 3,
    schemaVersion: 1,
    values: "json",
    stream,
    policies: { spelling: 2 },
  });
  expect(await get(version, "_checkpoint")).toEqual({
    format: 1,
    position: 4,
    taken: 1,
    commitId: "c-unheard-of",
    applied: 5,
    complete: 4,
    writer: expect.any(String),
    epoch: 1,
    nonce: expect.any(String),
  });
  expect(await get(version, "_dead.4.0")).toEqual({
    position: 4,
    index: 0,
    id: "c-unheard-of:0",
    type: "Written",
    actor: { type: "note", id: "odd" },
    reason: "what is that?",
  });
  const erased = await streams.getMessage(`KV_${version}`, {
    last_by_subj: `$KV.${version}.text.gone`,
  });
  expect(StringCodec().decode(erased.data)).toBe("");
  expect(erased.header.get("KV-Operation")).toBe("DEL");
  expect(await position("text.gone")).toBe("3.0");
});
