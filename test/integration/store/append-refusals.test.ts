import { describe, expect, it } from "vitest";
import {
  AppendTooLargeError,
  type AppendOptions,
  InvalidArgumentError,
  UnserialisableValueError,
} from "../../../src/index.ts";
import { collect, failureOf, notes, openConnection, openStore, untyped } from "./bank.ts";

const alice = { type: "account", id: "alice" } as const;
const first = { expectedVersion: 0 } as const;

describe("an append is refused before anything is sent", () => {
  it.each<[string, unknown, string]>([
    ["no options", undefined, "options"],
    ["no expected version", {}, "expectedVersion"],
    ["a negative version", { expectedVersion: -1 }, "expectedVersion"],
    ["half a version", { expectedVersion: 1.5 }, "expectedVersion"],
    ["another word", { expectedVersion: "all" }, "expectedVersion"],
    ["a version as text", { expectedVersion: "1" }, "expectedVersion"],
    ["an empty commit id", { ...first, commitId: "" }, "commitId"],
    ["a commit id with a space", { ...first, commitId: "a b" }, "commitId"],
    ["a commit id with a line end", { ...first, commitId: "a\r\nNats-Rollup: all" }, "commitId"],
    ["a long commit id", { ...first, commitId: "x".repeat(129) }, "commitId"],
    ["a commit id of letters beyond ASCII", { ...first, commitId: "Zoë" }, "commitId"],
    ["no time", { ...first, timeoutMs: 0 }, "timeoutMs"],
    ["time that is no number", { ...first, timeoutMs: Number.NaN }, "timeoutMs"],
    ["metadata in a list", { ...first, metadata: [1] }, "metadata"],
  ])("for %s", async (_, options, argument) => {
    const store = await openStore();
    const error = await failureOf(store.append(alice, notes(1), untyped<AppendOptions>(options)));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ code: "invalid_argument", argument });
    expect(await store.head()).toBe(0);
  });

  it.each<[string, unknown, string]>([
    ["no events", [], "events"],
    ["events that are no list", { type: "Noted" }, "events"],
    ["an event that is none", [null], "events[0]"],
    ["an event without type", [{ data: 1 }], "events[0].type"],
    ["an empty type", [{ type: "a" }, { type: "" }], "events[1].type"],
    ["a long type", [{ type: "x".repeat(256) }], "events[0].type"],
    ["a type with a lone surrogate", [{ type: "a\ud800" }], "events[0].type"],
    ["an event's metadata that are no object", [{ type: "a", metadata: 5 }], "events[0].metadata"],
  ])("for %s", async (_, events, argument) => {
    const store = await openStore();
    const error = await failureOf(store.append(alice, untyped<[]>(events), first));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument });
    expect(await store.head()).toBe(0);
  });

  it.each<[string, unknown, string]>([
    ["a function", { a: [1, { f: () => 1 }] }, "events[0].data.a[1].f"],
    ["a Map", { m: new Map() }, "events[0].data.m"],
    ["an invalid date", [new Date(Number.NaN)], "events[0].data[0]"],
    ["a lone surrogate", { "a b": "x\udfff" }, 'events[0].data["a b"]'],
  ])("for %s in the data, naming its path", async (_, data, path) => {
    const store = await openStore();
    const error = await failureOf(store.append(alice, [{ type: "Noted", data }], first));
    expect(error).toBeInstanceOf(UnserialisableValueError);
    expect(error).toMatchObject({ code: "unserialisable_value", path });
    expect(await store.head()).toBe(0);
  });

  it("for an unserialisable value in metadata, naming whose", async () => {
    const store = await openStore();
    const metadata = { user: Symbol("ada") };
    const ofCommit = store.append(alice, notes(1), { ...first, metadata });
    expect(await failureOf(ofCommit)).toMatchObject({ path: "metadata.user" });
    const ofEvent = store.append(alice, [{ type: "a" }, { type: "b", metadata }], first);
    expect(await failureOf(ofEvent)).toMatchObject({ path: "events[1].metadata.user" });
  });

  it.each<[string, Record<string, unknown>]>([
    ["a header of the server", { "Nats-Rollup": "all" }],
    ["a header of the server in other letters", { "nats-ttl": "1s" }],
    ["a header of Annal", { "Annal-Version": "9" }],
    ["a name with a colon", { "a:b": "x" }],
    ["an empty name", { "": "x" }],
    ["a name with a line end", { "a\r\nNats-Rollup": "x" }],
    ["a value with a line end", { a: "x\r\nNats-Rollup: all" }],
    ["a value with a line feed", { a: "x\nb: c" }],
    ["a value that is no text", { a: 5 }],
    ["a value with a lone surrogate", { a: "x\ud800" }],
  ])("for %s", async (_, headers) => {
    const store = await openStore();
    const options = { ...first, headers: untyped<Record<string, string>>(headers) };
    const error = await failureOf(store.append(alice, notes(1), options));
    expect(error).toBeInstanceOf(InvalidArgumentError);
    expect(error).toMatchObject({ argument: expect.stringMatching(/^headers/) });
    expect(await store.head()).toBe(0);
  });
});

describe("the size of an append", () => {
  it("is refused beyond the server's max_payload, with both sizes, and accepted just below", async () => {
    const nc = await openConnection();
    const limit = nc.info?.max_payload ?? 0;
    const store = await openStore();
    const big = [{ type: "Noted", data: new Uint8Array(limit) }];
    const error = await failureOf(store.append(alice, big, first));
    expect(error).toBeInstanceOf(AppendTooLargeError);
    expect(error).toMatchObject({ code: "append_too_large", limit, unit: "bytes" });
    const overhead = error instanceof AppendTooLargeError ? error.size - limit : 0;
    expect(overhead).toBeGreaterThan(50);
    const over = [{ type: "Noted", data: new Uint8Array(limit - overhead + 1) }];
    expect(await failureOf(store.append(alice, over, first))).toMatchObject({ size: limit + 1 });
    const fits = [{ type: "Noted", data: new Uint8Array(limit - overhead) }];
    expect(await store.append(alice, fits, first)).toMatchObject({ version: 1, position: 1 });
    expect(await store.append(alice, notes(2), { expectedVersion: 1 })).toMatchObject({
      version: 2,
    });
  });

  it("counts the headers, which have a limit of their own", async () => {
    const store = await openStore();
    const headers = { big: "x".repeat(66_000) };
    const error = await failureOf(store.append(alice, notes(1), { ...first, headers }));
    expect(error).toMatchObject({ code: "append_too_large", limit: 65_535, unit: "header_bytes" });
  });
});

describe("an actor", () => {
  const hostile = [
    "a.b.c",
    "two words",
    "*",
    ">",
    "=2E",
    "alice.>",
    "🙂🙃",
    "Zoë",
    "Zoe\u0308",
    "\u0000\r\n",
    "\ufeffbom",
    "x".repeat(300),
    "ü".repeat(150),
    "/../etc",
    "__proto__",
  ];

  it("may have any id, and each id has a history of its own", async () => {
    const store = await openStore();
    for (const [n, id] of hostile.entries()) {
      await store.append({ type: "account", id }, notes(n), { expectedVersion: "none" });
    }
    for (const [n, id] of hostile.entries()) {
      const events = await collect(store.read({ type: "account", id }));
      expect(events).toMatchObject([{ actor: { type: "account", id }, version: 1, data: { n } }]);
    }
    const listed = (await collect(store.actors())).map(({ id }) => id);
    expect(listed.toSorted()).toEqual(hostile.toSorted());
    const all = await collect(store.readAll());
    expect(all.map(({ actor }) => actor.id)).toEqual(hostile);
  });

  it.each<[string, unknown, string]>([
    ["no actor", undefined, "actor"],
    ["null", null, "actor"],
    ["a name for an actor", "alice", "actor"],
    ["no type", { id: "a" }, "actor.type"],
    ["a type with a dot", { type: "a.b", id: "a" }, "actor.type"],
    ["a wildcard for a type", { type: "*", id: "a" }, "actor.type"],
    ["an empty id", { type: "account", id: "" }, "actor.id"],
    ["a number for an id", { type: "account", id: 7 }, "actor.id"],
    ["a lone surrogate", { type: "account", id: "a\ud800b" }, "actor.id"],
    ["a subject beyond 1,000 bytes", { type: "account", id: "🙂".repeat(300) }, "actor.id"],
  ])("is refused in appends, reads and questions: %s", async (_, given, argument) => {
    const store = await openStore();
    const actor = untyped<typeof alice>(given);
    const attempts = [
      () => store.append(actor, notes(1), first),
      () => store.appendAll([{ actor, events: notes(1), expectedVersion: 0 }]),
      () => collect(store.read(actor)),
      () => store.readLast(actor, 1),
      () => store.latestVersion(actor),
      () => store.exists(actor),
    ];
    for (const attempt of attempts) {
      const error = await failureOf(attempt);
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error).toMatchObject({ argument: expect.stringContaining(argument) });
    }
    expect(await store.head()).toBe(0);
  });
});
