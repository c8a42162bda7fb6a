import type { StandardSchemaV1 } from "@standard-schema/spec";
import { describe, expect, it } from "vitest";
import { EventStore, InvalidArgumentError, SchemaValidationError } from "../../../src/index.ts";
import { freshStream } from "../../support/server.ts";
import { collect, failureOf, notes, openConnection, openStore } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;

/** A hand-written Standard Schema of `{ n: number }` that also takes numbers as text. */
function numbered(asynchronous: boolean): StandardSchemaV1 {
  const validate = (value: unknown): StandardSchemaV1.Result<unknown> => {
    const n = typeof value === "object" && value !== null && "n" in value ? value.n : undefined;
    if (typeof n === "number") return { value };
    if (typeof n === "string" && /^\d+$/.test(n)) return { value: { n: Number(n) } };
    return { issues: [{ message: "not a number", path: ["deep", { key: "n" }] }] };
  };
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) => (asynchronous ? Promise.resolve(validate(value)) : validate(value)),
    },
  };
}

describe.each([
  ["synchronous", false],
  ["asynchronous", true],
])("a %s schema", (_, asynchronous) => {
  const schemas = { account: { Noted: numbered(asynchronous) } };

  it("refuses data before anything is sent, naming event, path and reason", async () => {
    const store = await openStore({ schemas });
    const events = [...notes(1), { type: "Noted", data: { n: "x" } }];
    const error = await failureOf(store.append(alice, events, { expectedVersion: 0 }));
    expect(error).toBeInstanceOf(SchemaValidationError);
    expect(error).toMatchObject({
      code: "schema_validation",
      subject: "account.Noted",
      issues: [{ path: "deep.n", message: "not a number" }],
      message: expect.stringContaining("events[1]"),
    });
    const all = store.appendAll([{ actor: alice, events, expectedVersion: 0 }]);
    expect(await failureOf(all)).toBeInstanceOf(SchemaValidationError);
    expect(await store.head()).toBe(0);
  });

  it("has its output stored, and leaves other types alone", async () => {
    const store = await openStore({ schemas });
    const events = [
      { type: "Noted", data: { n: "5" }, metadata: { kept: true } },
      { type: "Other", data: "free" },
    ];
    await store.append(alice, events, { expectedVersion: 0 });
    await store.append({ type: "order", id: "1" }, events, { expectedVersion: 0 });
    const plain = await openStore({ stream: store.stream });
    const stored = await collect(plain.readAll());
    expect(stored.map(({ data }) => data)).toEqual([{ n: 5 }, "free", { n: "5" }, "free"]);
    expect(stored[0]?.metadata).toEqual({ kept: true });
  });

  it("is applied to what is read, unless validateReads is false", async () => {
    const plain = await openStore();
    await plain.append(alice, [{ type: "Noted", data: { n: "7" } }], { expectedVersion: 0 });
    await plain.append(alice, [{ type: "Noted", data: { n: null } }], { expectedVersion: 1 });
    const { stream } = plain;
    const store = await openStore({ stream, schemas });
    expect(await collect(store.read(alice, { toVersion: 1 }))).toMatchObject([{ data: { n: 7 } }]);
    for (const attempt of [
      () => collect(store.read(alice)),
      () => collect(store.readAll()),
      () => collect(store.readCommits()),
      () => collect(store.subscribe()),
      () => store.readLast(alice, 1),
    ]) {
      const error = await failureOf(attempt);
      expect(error).toBeInstanceOf(SchemaValidationError);
      expect(error).toMatchObject({ message: expect.stringContaining("account/alice version 2") });
    }
    const lenient = await openStore({ stream, schemas, validateReads: false });
    const events = await collect(lenient.read(alice));
    expect(events.map(({ data }) => data)).toEqual([{ n: "7" }, { n: null }]);
    const bad = lenient.append(alice, [{ type: "Noted", data: 1 }], { expectedVersion: 2 });
    expect(await failureOf(bad)).toBeInstanceOf(SchemaValidationError);
  });
});

describe("upcasters", () => {
  it("bring old events up to date, through renames, in every kind of read", async () => {
    const plain = await openStore();
    const old = [
      { type: "Opened", data: { name: "A" } },
      { type: "Started", data: { title: "B" } },
      { type: "Begun", data: { title: "C", by: "x" } },
      { type: "Kept", data: 1 },
    ];
    await plain.append(alice, old, { expectedVersion: 0 });
    await plain.append({ type: "order", id: "1" }, old.slice(0, 1), { expectedVersion: 0 });
    const store = await openStore({
      stream: plain.stream,
      upcasters: {
        account: {
          Opened: ({ data }) => ({
            type: "Started",
            data: { title: (data as { name: string }).name },
          }),
          Started: ({ data }) => ({ type: "Begun", data }),
          Begun: ({ data }) => ({ type: "Begun", data: { by: "unknown", ...(data as object) } }),
        },
      },
    });
    const expected = [
      { type: "Begun", data: { title: "A", by: "unknown" }, version: 1 },
      { type: "Begun", data: { title: "B", by: "unknown" }, version: 2 },
      { type: "Begun", data: { title: "C", by: "x" }, version: 3 },
      { type: "Kept", data: 1, version: 4 },
    ];
    expect(await collect(store.read(alice))).toMatchObject(expected);
    const all = await collect(store.readAll());
    expect(all).toMatchObject([...expected, { type: "Opened", data: { name: "A" } }]);
    const [commit] = await collect(store.readCommits({ limit: 1 }));
    expect(commit?.events).toMatchObject(expected);
  });

  it("come before the schema of the type that they give", async () => {
    const plain = await openStore();
    await plain.append(alice, [{ type: "Old", data: 5 }], { expectedVersion: 0 });
    const store = await openStore({
      stream: plain.stream,
      schemas: { account: { Noted: numbered(false), Old: numbered(false) } },
      upcasters: { account: { Old: ({ data }) => ({ type: "Noted", data: { n: String(data) } }) } },
    });
    expect(await collect(store.read(alice))).toMatchObject([{ type: "Noted", data: { n: 5 } }]);
  });

  it("do not make a repeated append look like another", async () => {
    const stream = freshStream();
    const upcasters = {
      account: { Noted: () => ({ type: "Noted", data: "changed" }) },
    };
    const store = await openStore({ stream, upcasters });
    const options = { expectedVersion: 0, commitId: "c" } as const;
    await store.append(alice, notes(1), options);
    expect(await store.append(alice, notes(1), options)).toMatchObject({ replayed: true });
  });

  it("that turn in a circle are an error that names them, not an endless loop", async () => {
    const plain = await openStore();
    await plain.append(alice, [{ type: "A" }], { expectedVersion: 0 });
    const store = await openStore({
      stream: plain.stream,
      upcasters: {
        account: {
          A: ({ data }) => ({ type: "B", data }),
          B: ({ data }) => ({ type: "A", data }),
        },
      },
    });
    expect(await failureOf(collect(store.read(alice)))).toBeInstanceOf(InvalidArgumentError);
  });

  it("that return no event are refused by name", async () => {
    const nc = await openConnection();
    const store = await EventStore.open(nc, {
      stream: freshStream(),
      upcasters: { account: { Noted: () => JSON.parse("null") } },
    });
    await store.append(alice, notes(1), { expectedVersion: 0 });
    const error = await failureOf(collect(store.read(alice)));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument: "upcasters.account.Noted" });
    await store.close();
  });
});
