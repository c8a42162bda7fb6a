import { describe, expect, it } from "vitest";
import { InvalidArgumentError, UnserialisableValueError } from "../../../src/errors.ts";
import { defineProjection, type Projection, table } from "../../../src/projection/definition.ts";
import { CoverageError, ProjectionFailedError } from "../../../src/projection/errors.ts";
import type { RecordedEvent } from "../../../src/store/event.ts";
import { type GivenEvent, stateOf } from "../../../src/testing/index.ts";
import { failureOf } from "../../support/work-unit-stage.ts";
import { alice, balances, type Bank, bob, deposited, withdrawn } from "./bank.ts";

type Noted = { readonly note: { readonly type: "Noted"; readonly data: unknown } };
const tables = { t: table<unknown>() };
type NoteTables = typeof tables;
type Apply = Projection<Noted, NoteTables>["apply"];

/** A projection of notes that declares the key `a`. */
function notes(apply: Apply): Projection<Noted, NoteTables> {
  const keys = (_: unknown, { t }: Parameters<Projection<Noted, NoteTables>["keys"]>[1]) => [
    t.key("a"),
  ];
  return defineProjection<Noted>()({
    name: "notes",
    version: 1,
    events: { note: "all" },
    tables,
    keys,
    apply,
  });
}

function noted(data: unknown): GivenEvent<Noted> {
  return { actor: { type: "note", id: "1" }, type: "Noted", data };
}

describe("stateOf", () => {
  it("gives what the events make of the tables", () => {
    const state = stateOf(balances).after([deposited(10n), withdrawn(3n), deposited(5n, bob)]);
    expect(state.tables.balance.get("alice")).toBe(7n);
    expect(state.tables.balance.get("bob")).toBe(5n);
    expect(state.tables.balance.get("carol")).toBeUndefined();
  });

  it("is empty before any event", () => {
    const { tables } = stateOf(balances);
    expect([tables.balance.get("alice"), tables.balance.entries().size]).toEqual([undefined, 0]);
  });

  it("lists a table's entries sorted by id, each time anew", () => {
    const ids = ["b", "a", "B", "é", "a.b"];
    const events = ids.map((id) => deposited(1n, { type: "account", id }));
    const state = stateOf(balances).after(events);
    const first = state.tables.balance.entries();
    expect([...first.keys()]).toEqual(["B", "a", "a.b", "b", "é"]);
    expect(state.tables.balance.entries()).not.toBe(first);
  });

  it("goes on behind earlier events, and leaves the state before as it was", () => {
    const before = stateOf(balances).after([deposited(10n)]);
    const after = before.after([withdrawn(4n)]);
    expect([before.tables.balance.get("alice"), after.tables.balance.get("alice")]).toEqual([
      10n,
      6n,
    ]);
    expect(after.tables.last.get("alice")?.position).toBe(2);
  });

  it("turns into JSON, bigints and dates as text", () => {
    const state = stateOf(balances).after([deposited(10n)]);
    const json = {
      balance: { alice: "10" },
      last: { alice: { at: "2000-01-01T00:00:01.000Z", position: 1 } },
    };
    expect(state.toJSON()).toEqual(json);
    expect(JSON.parse(JSON.stringify(state))).toEqual(json);
  });

  it("passes over events that the projection does not select", () => {
    const placed: GivenEvent<Bank> = {
      actor: { type: "order", id: "7" },
      type: "Placed",
      data: { items: [] },
    };
    const state = stateOf(balances).after([placed, deposited(1n), placed]);
    expect(state.tables.last.get("alice")?.position).toBe(2);
  });
});

describe("a selection of event types", () => {
  it("is kept to", () => {
    const deposits = defineProjection<Bank>()({
      name: "deposits",
      version: 1,
      events: { account: ["Deposited"] },
      tables: { count: table<number>() },
      keys: (_, t) => [t.count.key("all")],
      apply: (_, t) => t.count.put("all", (t.count.get("all") ?? 0) + 1),
    });
    const state = stateOf(deposits).after([deposited(2n), withdrawn(1n), deposited(1n)]);
    expect(state.tables.count.get("all")).toBe(2);
  });
});

describe("given events", () => {
  const seen: RecordedEvent<Noted>[] = [];
  const collecting = notes((event) => {
    seen.push(event);
  });

  it("look like stored ones: dense versions per actor, positions, ids, cursors", () => {
    seen.length = 0;
    const other = { ...noted(1), actor: { type: "note", id: "2" } } as const;
    stateOf(collecting).after([noted(1), other, noted(2)]);
    expect(seen.map(({ actor, version, position }) => [actor.id, version, position])).toEqual([
      ["1", 1, 1],
      ["2", 1, 2],
      ["1", 2, 3],
    ]);
    expect(seen[2]).toEqual({
      actor: { type: "note", id: "1" },
      actorType: "note",
      type: "Noted",
      data: 2,
      version: 2,
      position: 3,
      index: 0,
      id: "given-3:0",
      commitId: "given-3",
      recordedAt: new Date("2000-01-01T00:00:03Z"),
      metadata: {},
      cursor: "3.1.given-3",
    });
  });

  it("keep the metadata and the time that they were given", () => {
    seen.length = 0;
    const recordedAt = new Date("2024-02-29T12:00:00Z");
    stateOf(collecting).after([{ ...noted(1), metadata: { correlationId: "c" }, recordedAt }]);
    expect(seen[0]).toMatchObject({ metadata: { correlationId: "c" }, recordedAt });
  });

  it("have been through the store's encoding", () => {
    seen.length = 0;
    stateOf(collecting).after([noted({ a: undefined, b: [undefined], c: Buffer.from("x") })]);
    expect(seen[0]?.data).toStrictEqual({ b: [null], c: new Uint8Array([120]) });
    const failure = failureOf(() => stateOf(collecting).after([noted(1), noted({ m: new Map() })]));
    expect(failure).toBeInstanceOf(UnserialisableValueError);
    expect(failure).toHaveProperty("message", expect.stringContaining("events[1].data.m"));
  });

  it("are refused without a valid actor", () => {
    const bad = { actor: { type: "account", id: "" }, type: "Closed" } as const;
    expect(() => stateOf(balances).after([bad])).toThrow(InvalidArgumentError);
  });

  it("stay as the test made them, to be changed and used again", () => {
    const data = { list: [1] };
    const event = noted(data);
    const pushing = notes(({ data: given }, { t }) => t.put("a", given));
    const state = stateOf(pushing).after([event]);
    data.list.push(2);
    expect(state.tables.t.get("a")).toEqual({ list: [1] });
  });
});

describe("a projection under test", () => {
  it("K18 is held to its declaration", () => {
    const reading = notes((_, { t }) => void t.get("b"));
    expect(() => stateOf(reading).after([noted(1)])).toThrow(CoverageError);
  });

  it("fails with the error that a projector would end with", () => {
    const failure = failureOf(() => stateOf(balances).after([deposited(1n), withdrawn(2n)]));
    expect(failure).toBeInstanceOf(ProjectionFailedError);
    expect(failure).toMatchObject({
      event: { position: 2 },
      cause: { message: "alice is overdrawn" },
    });
  });

  it("fails where keys does", () => {
    const wrong = {
      ...balances,
      keys: () => {
        throw new Error("no keys");
      },
    };
    expect(() => stateOf(wrong).after([deposited(1n)])).toThrow(/no keys/);
  });

  it("fails where apply is asynchronous", () => {
    const later = notes((): unknown => Promise.resolve());
    expect(() => stateOf(later).after([noted(1)])).toThrow(/synchronous/);
  });

  const inPlace: readonly (readonly [what: string, apply: Apply])[] = [
    ["a list that it got", (_, { t }) => void (t.get("a") as { list: number[] }).list.push(2)],
    ["an object that it got", (_, { t }) => void Object.assign(t.get("a") as object, { n: 2 })],
    ["a date that it got", (_, { t }) => void (t.get("a") as { date: Date }).date.setTime(5)],
    ["bytes that it got", (_, { t }) => void (t.get("a") as { bytes: Uint8Array }).bytes.fill(5)],
    ["data of the event", ({ data }) => void (data as { list: number[] }).list.push(2)],
    ["a date of the event", ({ recordedAt }) => void recordedAt.setTime(5)],
    [
      "what it has put",
      (_, { t }) => {
        const value = { n: 1 };
        t.put("a", value);
        value.n = 2;
      },
    ],
  ];
  it.each(inPlace)("fails where it changes %s in place", (_, change) => {
    const changing = notes((event, state) => {
      if (event.version > 1) change(event, state);
      else state.t.put("a", { list: [1], n: 1, date: new Date(0), bytes: new Uint8Array(2) });
    });
    const before = stateOf(changing).after([noted({ list: [1] })]);
    expect(() => before.after([noted({ list: [1] })])).toThrow(ProjectionFailedError);
  });

  it("may read dates, bytes and lists, and put changed copies of them", () => {
    const copying = notes((event, { t }) => {
      const { list, date } = (t.get("a") ?? { list: [], date: new Date(0) }) as {
        list: number[];
        date: Date;
      };
      t.put("a", { list: [...list, event.version], date: new Date(date.getTime() + 1) });
    });
    const state = stateOf(copying).after([noted(1), noted(2)]);
    expect(state.tables.t.get("a")).toEqual({ list: [1, 2], date: new Date(2) });
  });

  it("deletes what closes", () => {
    const closed = { actor: alice, type: "Closed" } as const;
    const state = stateOf(balances).after([deposited(1n), closed]);
    expect(state.tables.balance.entries().size).toBe(0);
    expect(() => state.after([closed])).toThrow(/balance\.alice/);
  });
});
