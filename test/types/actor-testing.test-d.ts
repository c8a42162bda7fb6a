import { describe, expectTypeOf, it } from "vitest";
import { defineActor } from "../../src/actor/index.ts";
import { defineProjection, table } from "../../src/projection/index.ts";
import { type Given, given, type GivenActor, type WhenCommand } from "../../src/testing/index.ts";

type Deposited = { type: "Deposited"; data: { amount: bigint } };
type Withdrawn = { type: "Withdrawn"; data: { amount: bigint; by: string } };
type Closed = { type: "Closed" };
type Event = Deposited | Withdrawn | Closed;
type Command = { type: "Deposit"; amount: bigint } | { type: "Close" };
type State = { balance: bigint };

const account = defineActor({
  type: "account",
  initialState: { balance: 0n },
  decide(command: Command, state) {
    if (command.type === "Close") return state.balance === 0n ? [{ type: "Closed" }] : [];
    return [{ type: "Deposited", data: { amount: command.amount } }];
  },
  evolve: (state, event: Event) =>
    event.type === "Deposited" ? { balance: state.balance + event.data.amount } : state,
});

const deposited = { type: "Deposited", data: { amount: 1n } } as const;
const deposit = { type: "Deposit", amount: 1n } as const;
const scene = given(account, [deposited]).when(deposit);

describe("given of an actor type", () => {
  it("takes its events, with metadata, without an actor", () => {
    expectTypeOf(given(account, [])).toEqualTypeOf<GivenActor<State, Command, Event>>();
    given(account, [deposited, { type: "Closed", metadata: { correlationId: "c" } }]);
    given(account, [deposited], { id: "alice" });
    // @ts-expect-error no such event
    given(account, [{ type: "Opened" }]);
    // @ts-expect-error a withdrawal says by whom
    given(account, [{ type: "Withdrawn", data: { amount: 1n } }]);
    // @ts-expect-error an amount is a bigint
    given(account, [{ type: "Deposited", data: { amount: 1 } }]);
    // @ts-expect-error no such option
    given(account, [], { actor: "alice" });
    // @ts-expect-error what has happened is said
    given(account);
  });

  it("is told from that of a projection", () => {
    const counts = defineProjection<{ account: Event }>()({
      name: "counts",
      version: 1,
      events: { account: "all" },
      tables: { count: table<number>() },
      apply: () => {},
    });
    expectTypeOf(given(counts, [])).toEqualTypeOf<
      Given<{ account: Event }, typeof counts.tables>
    >();
    // @ts-expect-error a projection's events have an actor
    given(counts, [deposited]);
    // @ts-expect-error a projection has no command
    given(counts, []).when(deposit);
  });
});

describe("when", () => {
  it("takes its commands, one after the other", () => {
    expectTypeOf(scene).toEqualTypeOf<WhenCommand<State, Command, Event>>();
    expectTypeOf(scene.when({ type: "Close" })).toEqualTypeOf(scene);
    given(account, []).when(deposit, { commandId: "c", receivedAt: new Date(0) });
    // @ts-expect-error no such command
    given(account, []).when({ type: "Open" });
    // @ts-expect-error a deposit has an amount
    given(account, []).when({ type: "Deposit" });
    // @ts-expect-error an id is text
    given(account, []).when(deposit, { commandId: 1 });
  });
});

describe("then", () => {
  it("takes events, parts of a decision, or an error", () => {
    scene.then([deposited]);
    scene.then([{ ...deposited, metadata: { causationId: "c" } }]);
    scene.then([]);
    scene.then({ events: [deposited], state: { balance: 1n } });
    const events = [{ type: "Noted", data: 1 }];
    scene.then({ appends: [{ actor: { type: "note", id: "n" }, events, expectedVersion: "any" }] });
    scene.then(RangeError);
    scene.then(new RangeError("x"));
    expectTypeOf(scene.thenFails(/x/)).toEqualTypeOf<Error>();
    expectTypeOf(scene.then([])).toEqualTypeOf<void>();
  });

  it("knows the events and the state", () => {
    expectTypeOf<Parameters<typeof scene.then>[0]>()
      .extract<readonly unknown[]>()
      .items.toExtend<Event>();
    // @ts-expect-error no such event
    scene.then([{ type: "Opened" }]);
    // @ts-expect-error an amount is a bigint
    scene.then([{ type: "Deposited", data: { amount: 1 } }]);
    // @ts-expect-error no such event
    scene.then({ events: [{ type: "Opened" }] });
    // @ts-expect-error a balance is a bigint
    scene.then({ state: { balance: 1 } });
    // @ts-expect-error the whole state
    scene.then({ state: {} });
    // @ts-expect-error no such part
    scene.then({ version: 1 });
    // @ts-expect-error a class of other things than errors
    scene.then(Map);
    // @ts-expect-error an append is to an actor
    scene.then({ appends: [{ events: [deposited] }] });
  });
});
