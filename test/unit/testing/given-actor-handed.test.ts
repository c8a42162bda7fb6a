import { describe, expect, it } from "vitest";
import type { DecideContext, Evolving } from "../../../src/actor/definition.ts";
import { InvalidArgumentError, UnserialisableValueError } from "../../../src/errors.ts";
import { given, type WhenOptions } from "../../../src/testing/index.ts";
import { failureOf } from "../../support/work-unit-stage.ts";
import { noted, notes } from "./account.ts";

class Order {
  readonly lines = [1];
}

describe("what a decider is handed", () => {
  const contexts: DecideContext[] = [];
  const events: Evolving<ReturnType<typeof noted>>[] = [];
  const watching = notes({
    decide: (_, __, context) => {
      contexts.push(context);
      return [{ ...noted(3), metadata: { causationId: "m" } }];
    },
    evolve: (_, event) => {
      events.push(event);
      return event.data;
    },
  });

  it("is the actor, its version, the command's id and time", () => {
    contexts.length = 0;
    given(watching, [noted(1), noted(2)])
      .when(0)
      .then({ appends: [] });
    expect(contexts[0]).toMatchObject({
      actor: { type: "notes", id: "given" },
      version: 2,
      commandId: undefined,
      receivedAt: new Date("2000-01-01T00:00:00Z"),
    });
    contexts.length = 0;
    const receivedAt = new Date("2024-02-29T12:00:00Z");
    given(watching, [], { id: "alice" })
      .when(0, { commandId: "c", receivedAt })
      .then({ appends: [] });
    expect(contexts[0]).toMatchObject({
      actor: { id: "alice" },
      version: 0,
      commandId: "c",
      receivedAt,
    });
  });

  it("are the events with their version and metadata, stored and decided ones", () => {
    events.length = 0;
    given(watching, [{ ...noted({ a: undefined }), metadata: { correlationId: "c" } }])
      .when(0)
      .then({ appends: [] });
    expect(events.slice(0, 2)).toEqual([
      { type: "Noted", data: {}, version: 1, metadata: { correlationId: "c" } },
      { type: "Noted", data: 3, version: 2, metadata: { causationId: "m" } },
    ]);
    expect(events[0]?.data).toStrictEqual({});
  });

  it("is refused at once where it could not be stored", () => {
    const failure = failureOf(() => given(notes(), [noted(1), noted({ m: new Map() })]));
    expect(failure).toBeInstanceOf(UnserialisableValueError);
    expect(failure).toHaveProperty("message", expect.stringContaining("events[1].data.m"));
    expect(() => given(notes(), [], { id: "" })).toThrow(InvalidArgumentError);
    for (const wrong of [{}, "", null, undefined]) {
      expect(() => given(notes(), wrong as never)).toThrow(InvalidArgumentError);
    }
  });

  it.each(["", "has space ~", `~${"x".repeat(18)}`, "x".repeat(129), 7])(
    "is no command id that a host refuses: %j",
    (commandId) => {
      const failure = failureOf(() => given(notes(), []).when(0, { commandId } as WhenOptions));
      expect(failure).toBeInstanceOf(InvalidArgumentError);
      expect(failure).toMatchObject({ argument: "commandId" });
    },
  );

  it("is no time that is none", () => {
    for (const receivedAt of [new Date(Number.NaN), 0, null]) {
      const scene = given(notes(), []).when(0);
      const failure = failureOf(() => scene.when(0, { receivedAt } as WhenOptions));
      expect(failure).toMatchObject({ code: "invalid_argument", argument: "receivedAt" });
    }
  });

  it("stays as the test made it, to be changed and used again", () => {
    const command = { list: [1], by: { id: "a" } };
    const scene = given(notes(), []).when(command);
    command.list.push(2);
    scene.then([noted({ list: [1], by: { id: "a" } })]);
    command.by.id = "b";
    expect(command).toEqual({ list: [1, 2], by: { id: "b" } });
    const order = new Order();
    const orders = new Map([["a", { count: 1 }]]);
    const counting = notes({ decide: () => [noted(1)] });
    given(counting, [])
      .when({ deep: [order], orders })
      .then([noted(1)]);
    expect([order, order.lines, orders.get("a")].filter(Object.isFrozen)).toEqual([]);
  });
});
