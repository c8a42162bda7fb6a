import { describe, expectTypeOf, it } from "vitest";
import {
  type AnyActorKind,
  type CommandOf,
  type DecideContext,
  defineActor,
  type EventOf,
  type StateOf,
} from "../../src/actor/index.ts";
import type { Actor, Metadata } from "../../src/index.ts";

type Deposited = { type: "Deposited"; data: { amount: bigint } };
type Withdrawn = { type: "Withdrawn"; data: { amount: bigint; tags: string[] } };
type Deposit = { type: "Deposit"; amount: bigint };
type Withdraw = { type: "Withdraw"; amount: bigint };
type State = { balance: bigint; name?: string };

const empty: State = { balance: 0n };

const account = defineActor({
  type: "account",
  initialState: { balance: 0n },
  decide(command: Deposit | Withdraw, state, context) {
    expectTypeOf(state).toEqualTypeOf<{ balance: bigint }>();
    expectTypeOf(context).toEqualTypeOf<DecideContext>();
    const { amount } = command;
    if (command.type === "Deposit") return [{ type: "Deposited", data: { amount } }];
    if (state.balance < amount) throw new Error("insufficient funds");
    return [{ type: "Withdrawn", data: { amount, tags: ["a"] } }];
  },
  evolve(state, event: Deposited | Withdrawn) {
    expectTypeOf(state).toEqualTypeOf<{ balance: bigint }>();
    const { amount } = event.data;
    return {
      balance: event.type === "Deposited" ? state.balance + amount : state.balance - amount,
    };
  },
  snapshot: { every: 100, version: 1 },
});

describe("an actor type", () => {
  it("has its type, state, commands and events", () => {
    expectTypeOf(account.type).toEqualTypeOf<"account">();
    expectTypeOf<StateOf<typeof account>>().toEqualTypeOf<{ balance: bigint }>();
    expectTypeOf<CommandOf<typeof account>>().toEqualTypeOf<Deposit | Withdraw>();
    expectTypeOf<EventOf<typeof account>>().toEqualTypeOf<Deposited | Withdrawn>();
    expectTypeOf(account.rememberedCommands).toEqualTypeOf<number>();
  });

  it("is one among others", () => {
    const order = defineActor({
      type: "order",
      initialState: 0,
      decide: (command: "Place") => (command === "Place" ? [{ type: "Placed" as const }] : []),
      evolve: (state, event: { type: "Placed" }) => state + event.type.length,
    });
    const kinds: readonly AnyActorKind[] = [account, order];
    expectTypeOf(kinds).items.toEqualTypeOf<AnyActorKind>();
    expectTypeOf<CommandOf<typeof order>>().toEqualTypeOf<"Place">();
  });

  it("takes its events from decide, where evolve does not name them", () => {
    const inferred = defineActor({
      type: "account",
      initialState: empty,
      decide: (command: Deposit, state) =>
        state.balance < 9n ? [{ type: "Deposited", data: { amount: command.amount } }] : [],
      evolve(state, event) {
        expectTypeOf(event.type).toEqualTypeOf<"Deposited">();
        expectTypeOf(event.data.amount).toEqualTypeOf<bigint>();
        return { ...state, balance: state.balance + event.data.amount };
      },
    });
    expectTypeOf<StateOf<typeof inferred>>().toEqualTypeOf<State>();
  });

  it("may define evolve before decide", () => {
    const turned = defineActor({
      type: "account",
      initialState: empty,
      evolve: (state, event: Deposited | Withdrawn) => ({
        balance: state.balance + event.data.amount,
      }),
      decide: ({ amount }: Deposit) => [{ type: "Deposited", data: { amount } }],
    });
    expectTypeOf<EventOf<typeof turned>>().toEqualTypeOf<Deposited | Withdrawn>();
    expectTypeOf<StateOf<typeof turned>>().toEqualTypeOf<State>();
  });
});

describe("evolve", () => {
  it("is told of the event, its version and metadata, narrowed by its type", () => {
    defineActor({
      type: "account",
      initialState: 0,
      decide: () => [],
      evolve(state, event: Deposited | Withdrawn) {
        if (event.type === "Withdrawn") expectTypeOf(event.data.tags).toEqualTypeOf<string[]>();
        // @ts-expect-error a deposit has no tags
        else void event.data.tags;
        // @ts-expect-error no such event
        void (event.type === "Closed");
        return state;
      },
    });
    expectTypeOf<Parameters<typeof account.evolve>[1]["version"]>().toEqualTypeOf<number>();
    expectTypeOf<Parameters<typeof account.evolve>[1]["metadata"]>().toEqualTypeOf<Metadata>();
  });

  it("gives the state that it was given, and nothing else", () => {
    expectTypeOf<ReturnType<typeof account.evolve>>().toEqualTypeOf<{ balance: bigint }>();
    defineActor({
      type: "account",
      initialState: { balance: 0n },
      decide: (command: Deposit): Deposited[] => [{ type: "Deposited", data: command }],
      // @ts-expect-error text is no balance
      evolve: (_, event: Deposited) => ({ balance: event.type }),
    });
  });

  it("takes all events that decide returns", () => {
    expectTypeOf<ReturnType<typeof account.decide>>().items.toExtend<Deposited | Withdrawn>();
    defineActor({
      type: "account",
      initialState: { balance: 0n },
      // @ts-expect-error another event than those that evolve takes
      decide: () => [{ type: "Lost", data: { amount: 1n } }],
      evolve: (state, _event: Deposited | Withdrawn) => state,
    });
  });
});

describe("decide", () => {
  it("may return events of different shapes without looking at the state", () => {
    const door = defineActor({
      type: "door",
      initialState: 0,
      decide: (command: { amount: bigint } | "close") =>
        command === "close" ? [{ type: "Closed" }] : [{ type: "Deposited", data: command }],
      evolve: (state, event: Deposited | { type: "Closed" }) => state + event.type.length,
    });
    expectTypeOf<EventOf<typeof door>>().toEqualTypeOf<Deposited | { type: "Closed" }>();
  });

  it("knows the actor, its version, the command's id and time, and appends to others", () => {
    const context: DecideContext<{ account: Deposited; order: { type: "Placed" } }> = {
      actor: { type: "account", id: "a" },
      version: 0,
      commandId: undefined,
      receivedAt: new Date(0),
      append: () => {},
    };
    expectTypeOf(context.actor).toEqualTypeOf<Actor>();
    expectTypeOf(context.commandId).toEqualTypeOf<string | undefined>();
    const actor = { type: "order", id: "o" } as const;
    context.append({ actor, events: [{ type: "Placed" }], expectedVersion: "none" });
    // @ts-expect-error no event of an order
    context.append({ actor, events: [{ type: "Deposited", data: { amount: 1n } }] });
    // @ts-expect-error no such expectation
    context.append({ actor, events: [{ type: "Placed" }], expectedVersion: "some" });
    // @ts-expect-error the version is told, not chosen
    context.version = 1;
  });
});

describe("a snapshot", () => {
  it("is of the state", () => {
    const common = {
      type: "tags",
      initialState: new Set<string>(),
      decide: (tag: string) => [{ type: "Tagged" as const, data: tag }],
      evolve: (state: Set<string>, event: { type: "Tagged"; data: string }) =>
        new Set(state).add(event.data),
    } as const;
    const tags = defineActor({
      ...common,
      snapshot: {
        version: 1,
        encode: (state) => [...state],
        decode: (data) => {
          expectTypeOf(data).toEqualTypeOf<unknown>();
          return new Set(data as string[]);
        },
      },
    });
    expectTypeOf<StateOf<typeof tags>>().toEqualTypeOf<Set<string>>();
    // @ts-expect-error a list is no set
    defineActor({ ...common, snapshot: { version: 1, decode: (data) => [data] } });
    // @ts-expect-error a snapshot has a version
    defineActor({ ...common, snapshot: { every: 10 } });
  });
});
