import type { StandardSchemaV1 } from "@standard-schema/spec";
import { describe, expect, it } from "vitest";
import { SchemaValidationError } from "../../../src/errors.ts";
import { HeaderBlock } from "../../../src/nats/header-block.ts";
import { readCommit, type StoredCommit } from "../../../src/store/commit.ts";
import { type EventSchemas, Interpreter, type Upcasters } from "../../../src/store/interpreter.ts";
import { assemblePayload, encodeBody, type EventInput } from "../../../src/store/payload.ts";

function commitOf(events: readonly EventInput[], headers: readonly string[] = []): StoredCommit {
  const lines = [
    "NATS/1.0",
    "Annal-Commit: c-1",
    `Annal-Version: ${events.length + 4}`,
    ...headers,
  ];
  return readCommit(
    {
      subject: "bank.account.alice",
      sequence: 42,
      timestampMs: 1_700_000_000_000,
      headers: new HeaderBlock(`${lines.join("\r\n")}\r\n\r\n`),
      data: assemblePayload(undefined, encodeBody(events, { user: "ada" })),
    },
    "bank",
  );
}

function interpreter(
  schemas?: EventSchemas,
  upcasters?: Upcasters,
  validateReads = true,
): Interpreter<Record<string, EventInput>> {
  return new Interpreter(schemas, upcasters, validateReads);
}

function schema(
  validate: (value: unknown) => ReturnType<StandardSchemaV1["~standard"]["validate"]>,
): StandardSchemaV1 {
  return { "~standard": { version: 1, vendor: "test", validate } };
}

const bad = { issues: [{ message: "bad" }] };

describe("events", () => {
  it("are numbered by place, and carry the commit's facts", () => {
    const commit = commitOf([
      { type: "a", data: 1 },
      { type: "b", metadata: { user: "eve" } },
    ]);
    expect(interpreter().events(commit)).toEqual([
      {
        actor: { type: "account", id: "alice" },
        actorType: "account",
        type: "a",
        data: 1,
        version: 5,
        position: 42,
        index: 0,
        id: "c-1:0",
        commitId: "c-1",
        recordedAt: new Date(1_700_000_000_000),
        metadata: { user: "ada" },
        cursor: "42.1.c-1",
      },
      expect.objectContaining({
        type: "b",
        data: null,
        version: 6,
        id: "c-1:1",
        metadata: { user: "eve" },
        cursor: "42.2.c-1",
      }),
    ]);
  });

  it("come at once where no schema answers by a promise", () => {
    const sync = interpreter({ account: { a: schema((value) => ({ value })) } });
    expect(Array.isArray(sync.events(commitOf([{ type: "a" }])))).toBe(true);
    const async = interpreter({
      account: { a: schema((value) => Promise.resolve({ value })) },
    });
    expect(async.events(commitOf([{ type: "a" }]))).toBeInstanceOf(Promise);
    expect(Array.isArray(async.events(commitOf([{ type: "other" }])))).toBe(true);
  });

  it("are not validated on read with validateReads false, but still upcast", () => {
    const upcasters = { account: { a: () => ({ type: "b", data: "new" }) } };
    const lenient = interpreter({ account: { b: schema(() => bad) } }, upcasters, false);
    expect(lenient.events(commitOf([{ type: "a" }]))).toMatchObject([{ type: "b", data: "new" }]);
  });

  it("of a chain of renames end with the last name; the same name is final", () => {
    let calls = 0;
    const upcasters: Upcasters = {
      account: {
        a: ({ data }) => ({ type: "b", data: [data, "a"] }),
        b: ({ data }) => ({ type: "c", data: [data, "b"] }),
        c: ({ data }) => {
          calls++;
          return { type: "c", data: [data, "c"] };
        },
      },
    };
    const commit = commitOf([
      { type: "a", data: 0 },
      { type: "c", data: 0 },
    ]);
    expect(interpreter(undefined, upcasters).events(commit)).toMatchObject([
      { type: "c", data: [[[0, "a"], "b"], "c"] },
      { type: "c", data: [0, "c"] },
    ]);
    expect(calls).toBe(2);
  });

  it("of another actor type are left alone", () => {
    const upcasters = { order: { a: () => ({ type: "b", data: "new" }) } };
    const rules = interpreter({ order: { a: schema(() => bad) } }, upcasters);
    expect(rules.events(commitOf([{ type: "a", data: 1 }]))).toMatchObject([{ type: "a" }]);
  });

  it("do not loop for ever through upcasters that turn in a circle", () => {
    let calls = 0;
    const turn = (type: string) => () => {
      if (++calls > 10_000) throw new Error("endless");
      return { type, data: null };
    };
    const rules = interpreter(undefined, { account: { a: turn("b"), b: turn("a") } });
    expect(() => rules.events(commitOf([{ type: "a" }]))).toThrow(/upcasters\.account\./);
    expect(calls).toBeLessThan(1_000);
  });
});

describe("validateNew", () => {
  it("gives the schema's output, and names event, path and reason otherwise", async () => {
    const rules = interpreter({
      account: {
        a: schema((value) => ({ value: [value] })),
        b: schema(() => ({ issues: [{ message: "no", path: ["x", { key: 3 }] }] })),
      },
    });
    expect(await rules.validateNew("account", [{ type: "a", data: 1 }])).toEqual([
      { type: "a", data: [1] },
    ]);
    expect(await rules.validateNew("order", [{ type: "b", data: 1 }])).toEqual([
      { type: "b", data: 1 },
    ]);
    expect(() => rules.validateNew("account", [{ type: "a" }, { type: "b" }])).toThrow(
      "events[1]: data of account.b does not satisfy its schema: x.3: no",
    );
  });

  it("leaves no rejection unhandled where a synchronous schema fails beside an asynchronous one", async () => {
    const unhandled: unknown[] = [];
    const before = process.rawListeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    process.on("unhandledRejection", (reason) => unhandled.push(reason));
    try {
      const rules = interpreter({
        account: { slow: schema(() => Promise.resolve(bad)), fast: schema(() => bad) },
      });
      const attempt = async (): Promise<void> => {
        await rules.validateNew("account", [{ type: "slow" }, { type: "fast" }]);
      };
      await expect(attempt()).rejects.toBeInstanceOf(SchemaValidationError);
      await new Promise(setImmediate);
      await new Promise(setImmediate);
    } finally {
      process.removeAllListeners("unhandledRejection");
      for (const listener of before) {
        process.on("unhandledRejection", listener as NodeJS.UnhandledRejectionListener);
      }
    }
    expect(unhandled).toEqual([]);
  });
});

describe("commit", () => {
  it("shows the caller's headers, of any name, and none of the wire's", async () => {
    const commit = commitOf(
      [{ type: "a" }],
      ["Nats-Batch-Id: b", "traceparent: t", "X: a: b", "__proto__: p"],
    );
    const { headers } = await interpreter().commit(commit);
    expect(Object.entries(headers)).toEqual([
      ["traceparent", "t"],
      ["X", "a: b"],
      ["__proto__", "p"],
    ]);
  });
});
