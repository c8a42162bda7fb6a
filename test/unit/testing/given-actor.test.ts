import { AssertionError } from "node:assert";
import { describe, expect, it } from "vitest";
import type { DecideContext } from "../../../src/actor/definition.ts";
import { EvolveFailedError, InvalidDecisionError } from "../../../src/actor/errors.ts";
import { AnnalError, InvalidArgumentError, UnserialisableValueError } from "../../../src/errors.ts";
import { given } from "../../../src/testing/index.ts";
import { failureOf } from "../../support/work-unit-stage.ts";
import { account, InsufficientFundsError, noted, notes } from "./account.ts";

const deposited = { type: "Deposited", data: { amount: 10n } } as const;
const withdrawn = { type: "Withdrawn", data: { amount: 3n } } as const;
const withdraw = { type: "Withdraw", amount: 3n } as const;
const overdraw = { type: "Withdraw", amount: 11n } as const;

describe("given, when, then of a decider", () => {
  const scene = given(account, [deposited]).when(withdraw);

  it("passes where the events are as expected, or the state, or both", () => {
    scene.then([withdrawn]);
    scene.then({ events: [withdrawn], state: { closed: false, balance: 7n }, appends: [] });
    expect(() => scene.then({ state: { balance: 7n, closed: false } })).not.toThrow();
  });

  it("says where the first difference of each part is, and hands a test runner both sides", () => {
    const failure = failureOf(() =>
      scene.then({
        events: [{ type: "Withdrawn", data: { amount: 4n } }, { type: "Closed" }],
        state: { balance: 7n, closed: true },
        appends: [],
      }),
    );
    expect(failure).toBeInstanceOf(AssertionError);
    expect(failure).toHaveProperty(
      "message",
      [
        "actor account/given did not decide as expected",
        "events[0].data.amount: expected 4n, found 3n",
        "state.closed: expected true, found false",
      ].join("\n"),
    );
    expect(failure).toMatchObject({
      expected: { events: [{ type: "Withdrawn" }, { type: "Closed" }], state: { closed: true } },
      actual: { events: [withdrawn], state: { closed: false } },
    });
    expect(failure).not.toHaveProperty("actual.appends");
  });

  it("says which event is missing, and which is too much", () => {
    expect(() => scene.then([])).toThrow(
      "events[0]: expected nothing, found { type: 'Withdrawn', data: { amount: 3n } }",
    );
    expect(() => scene.then([withdrawn, { type: "Closed" }])).toThrow(
      "events[1]: expected { type: 'Closed', data: null }, found nothing",
    );
  });

  it("accepts a command of which nothing comes", () => {
    const closing = given(account, [{ type: "Closed" }]).when({ type: "Close" });
    closing.then([]);
    closing.then({ events: [], state: { balance: 0n, closed: true } });
    expect(() => closing.then([{ type: "Closed" }])).toThrow(AssertionError);
  });

  it("compares events as the stream gives them back", () => {
    given(notes(), [])
      .when({ a: undefined, b: [undefined], c: Buffer.from("x") })
      .then([noted({ b: [null], c: new Uint8Array([120]) })]);
    given(notes(), [])
      .when({ b: 1 })
      .then([noted({ a: undefined, b: 1 })]);
    expect(() => scene.then([noted(expect.anything())] as never)).toThrow(UnserialisableValueError);
  });

  it("compares the metadata of an event where they are given", () => {
    const metadata = { correlationId: "c" };
    const tracing = notes({ decide: () => [{ ...noted(1), metadata }, noted(2)] });
    const traced = given(tracing, []).when(0);
    traced.then([noted(1), noted(2)]);
    traced.then([{ ...noted(1), metadata }, noted(2)]);
    traced.then([noted(1), { ...noted(2), metadata: {} }]);
    expect(() => traced.then([{ ...noted(1), metadata: {} }, noted(2)])).toThrow(
      "events[0].metadata.correlationId: expected nothing, found 'c'",
    );
  });

  it("throws the refusal of the decider, where events are expected, as it is", () => {
    const refused = given(account, [deposited]).when(overdraw);
    expect(failureOf(() => refused.then([]))).toBeInstanceOf(InsufficientFundsError);
    expect(failureOf(() => refused.then({ appends: [] }))).toBeInstanceOf(InsufficientFundsError);
  });

  it("goes on with the next command behind the events of the one before", () => {
    scene
      .when({ type: "Deposit", amount: 1n })
      .when({ type: "Withdraw", amount: 8n })
      .then({
        events: [{ type: "Withdrawn", data: { amount: 8n } }],
        state: { balance: 0n, closed: false },
      });
    const refused = given(account, []).when(withdraw);
    expect(() => refused.when(withdraw)).toThrow(InsufficientFundsError);
  });

  it("takes commands and states that hold themselves, where they are not stored", () => {
    interface Ring {
      readonly name: string;
      readonly next: unknown;
    }
    const ring = (name: string): Ring => {
      const made: { name: string; next: unknown } = { name, next: undefined };
      made.next = [made];
      return made;
    };
    const round = notes({
      decide: (command) => [noted((command as Ring).name)],
      evolve: (_, { data }) => ring(String(data)),
    });
    const scene = given(round, [noted("a")]).when(ring("b"));
    scene.then({ events: [noted("b")], state: ring("b") });
    expect(() => scene.then({ state: ring("c") })).toThrow("state.name: expected 'c', found 'b'");
  });

  it("says so when it is awaited", async () => {
    const awaited = Promise.resolve<unknown>(scene);
    await expect(awaited).rejects.toThrow(/no await/);
  });

  it("refuses what it cannot expect", () => {
    for (const wrong of [undefined, null, "x", /x/, new Map(), () => {}]) {
      expect(() => scene.then(wrong as never)).toThrow(InvalidArgumentError);
    }
    // @ts-expect-error no such part
    expect(() => scene.then({ event: [] })).toThrow(/received "event"/);
  });

  it("refuses to expect nothing", () => {
    for (const nothing of [{}, { events: undefined }, { appends: undefined }]) {
      const failure = failureOf(() => scene.then(nothing));
      expect(failure).toBeInstanceOf(InvalidArgumentError);
      expect(failure).toHaveProperty("message", expect.stringContaining("at least one"));
    }
    expect(() => given(notes(), []).when(1).then({ state: undefined })).toThrow(
      "state: expected undefined, found 1",
    );
  });
});

describe("appends to others", () => {
  const actor = { type: "account", id: "bob" } as const;
  const scene = given(account, [deposited]).when({ type: "Transfer", amount: 3n, to: "bob" });

  it("are asserted, with the version that is expected of them", () => {
    scene.then({
      events: [withdrawn],
      appends: [{ actor, events: [{ ...deposited, data: { amount: 3n } }] }],
    });
    const events = [{ type: "Deposited", data: { amount: 3n } }];
    scene.then({ appends: [{ actor, events, expectedVersion: "any" }] });
    expect(() => scene.then({ appends: [] })).toThrow(/appends\[0\]: expected nothing, found/);
    expect(() => scene.then({ appends: [{ actor, events, expectedVersion: 1 }] })).toThrow(
      "appends[0].expectedVersion: expected 1, found 'any'",
    );
    const other = { ...actor, id: "carol" };
    expect(() => scene.then({ appends: [{ actor: other, events }] })).toThrow(
      "appends[0].actor.id: expected 'carol', found 'bob'",
    );
    expect(() =>
      scene.then({
        appends: [
          { actor, events },
          { actor: other, events },
        ],
      }),
    ).toThrow(/appends\[1\]: expected \{ actor: .*, found nothing/);
  });

  it("fail a test that expects events and no appends", () => {
    const message = /appends\[0\]: expected nothing, found \{ actor: .*'bob'/;
    expect(() => scene.then([withdrawn])).toThrow(message);
    const state = { balance: 7n, closed: false };
    expect(() => scene.then({ events: [withdrawn], state })).toThrow(message);
    expect(() => scene.then({ state })).not.toThrow();
  });

  it("are refused without an own event, as by a host", () => {
    const silent = notes({
      decide: (_, __, context) => {
        context.append({ actor, events: [deposited] });
        return [];
      },
    });
    const failure = given(silent, []).when(0).thenFails(InvalidDecisionError);
    expect(failure).toMatchObject({ actor: { type: "notes", id: "given" } });
  });

  it("are refused when decide is over", () => {
    const contexts: DecideContext[] = [];
    const keeping = notes({ decide: (_, __, context) => (contexts.push(context), [noted(1)]) });
    given(keeping, []).when(0).then({ appends: [] });
    expect(() => contexts[0]?.append({ actor, events: [deposited] })).toThrow(InvalidDecisionError);
  });

  it.each([
    ["twice to one actor", [actor, actor], [deposited]],
    ["to the actor itself", [{ type: "notes", id: "given" }], [deposited]],
    ["to no actor", [{ type: "account", id: "" }], [deposited]],
    ["nothing", [actor], []],
    ["at a version that is none", [actor], [deposited], -1],
  ])("are refused %s", (_, actors, events, expectedVersion?: number) => {
    const wrong = notes({
      decide: (_command, _state, context) => {
        for (const to of actors) context.append({ actor: to, events, expectedVersion });
        return [noted(1)];
      },
    });
    const failure = given(wrong, []).when(0).thenFails(InvalidArgumentError);
    expect(failure).toBeInstanceOf(InvalidArgumentError);
  });
});

describe("errors of a decider", () => {
  const refused = given(account, [deposited]).when(overdraw);
  const accepted = given(account, [deposited]).when(withdraw);

  it("are asserted by class, by message, or by an equal error", () => {
    refused.then(InsufficientFundsError);
    refused.then(Error);
    refused.then(new InsufficientFundsError(10n));
    const failure = refused.thenFails(/insufficient/);
    expect(failure).toBe(refused.thenFails(InsufficientFundsError));
  });

  it("say what happened instead", () => {
    const alike = Object.assign(new Error("insufficient funds"), { balance: 10n });
    for (const wrong of [TypeError, new TypeError("x"), alike]) {
      expect(() => refused.then(wrong)).toThrow(
        /actor account\/given to fail with .*Error.*, but it failed with/,
      );
      expect(failureOf(() => refused.then(wrong))).toBeInstanceOf(AssertionError);
    }
    expect(() => refused.then(new InsufficientFundsError(9n))).toThrow(
      "(error.balance: expected 9n, found 10n)",
    );
    expect(() => accepted.then(InsufficientFundsError)).toThrow(
      "to fail with InsufficientFundsError, but it decided [ 'Withdrawn' ]",
    );
    expect(() => accepted.then(new InsufficientFundsError(9n))).toThrow(/but it decided/);
    expect(() => accepted.thenFails(/x/)).toThrow(AssertionError);
  });

  it("come of evolve too, naming the event, stored or only decided", () => {
    const fragile = notes({
      evolve: (_, { data }) => {
        if (data === "bad") throw new RangeError("cannot evolve");
        return data;
      },
    });
    const stored = given(fragile, [noted(1), noted("bad")]).when(2);
    expect(stored.thenFails(EvolveFailedError)).toMatchObject({ version: 2, stored: true });
    const decided = given(fragile, [noted(1)]).when("bad");
    expect(decided.thenFails(RangeError)).toMatchObject({ version: 2, stored: false });
    expect(() => decided.then([noted("bad")])).toThrow(EvolveFailedError);
  });

  it("are not those of given events that cannot be evolved, but by name", () => {
    const fragile = notes({
      evolve: (_, { data }) => {
        if (data === "bad") throw new RangeError("cannot evolve");
        return data;
      },
    });
    const stored = given(fragile, [noted("bad")]).when(2);
    for (const wrong of [Error, AnnalError, RangeError, /cannot evolve/, /^actor/]) {
      const failure = failureOf(() => stored.thenFails(wrong));
      expect(failure).toBeInstanceOf(AssertionError);
      expect(failure).toHaveProperty("message", expect.stringContaining("decide was not called"));
    }
    expect(() => stored.then(RangeError)).toThrow(AssertionError);
    stored.then(EvolveFailedError);
  });

  it("are asserted by a pattern that keeps its place, from the start", () => {
    for (const pattern of [/insufficient/g, /insufficient/y]) {
      pattern.lastIndex = 5;
      expect(refused.thenFails(pattern)).toBe(refused.thenFails(pattern));
    }
    expect(() => refused.thenFails(/funds/y)).toThrow(AssertionError);
  });

  it.each([
    ["a promise", async () => [noted(1)], InvalidDecisionError],
    ["a promise that fails", () => Promise.reject(new Error("later")), InvalidDecisionError],
    ["nothing", () => undefined, InvalidDecisionError],
    ["what is no event", () => [{ type: "" }], InvalidArgumentError],
    ["what cannot be stored", () => [noted(new Map())], UnserialisableValueError],
  ])("come of a decide that returns %s", (_, decide, expected) => {
    const scene = given(notes({ decide: decide as never }), []).when(0);
    expect(scene.thenFails(expected)).toBeInstanceOf(expected);
    expect(failureOf(() => scene.then([]))).toBeInstanceOf(expected);
  });

  it("are EvolveFailedError where evolve returns a promise", () => {
    const later = notes({ evolve: () => Promise.resolve(1) });
    const failure = given(later, [])
      .when(0)
      .thenFails(/it returned a promise/);
    expect(failure).toBeInstanceOf(EvolveFailedError);
  });
});
