import { describe, expectTypeOf, it } from "vitest";
import type { EventStore } from "../../src/index.ts";
import {
  defineProjection,
  type EventSelection,
  type Immutable,
  memoryState,
  type Projection,
  type ProjectorOptions,
  startProjector,
  type StateKey,
  table,
} from "../../src/projection/index.ts";
import { given, type GivenEvent, stateOf, testStore } from "../../src/testing/index.ts";

type Deposited = { type: "Deposited"; data: { amount: bigint } };
type Withdrawn = { type: "Withdrawn"; data: { amount: bigint; by: string } };
type Closed = { type: "Closed" };
type Placed = { type: "Placed"; data: { items: string[] } };
type Shipped = { type: "Shipped" };
type Bank = { account: Deposited | Withdrawn | Closed; order: Placed | Shipped };
type Cart = { items: string[]; at: Date; picture: Uint8Array; by: { id: string }[] };

const define = defineProjection<Bank>();
const common = { name: "p", version: 1, apply: () => {} } as const;
const tables = { balance: table<bigint>(), cart: table<Cart>() };
const alice = { type: "account", id: "alice" } as const;

describe("the selection", () => {
  it("narrows the events to those that it names, and type narrows data", () => {
    define({
      ...common,
      events: { account: ["Deposited", "Withdrawn"] },
      tables,
      keys: (event) => {
        expectTypeOf(event.type).toEqualTypeOf<"Deposited" | "Withdrawn">();
        expectTypeOf(event.actor.type).toEqualTypeOf<"account">();
        return [];
      },
      apply: (event) => {
        expectTypeOf(event.type).toEqualTypeOf<"Deposited" | "Withdrawn">();
        expectTypeOf(event.actor.type).toEqualTypeOf<"account">();
        expectTypeOf(event.data.amount).toEqualTypeOf<bigint>();
        if (event.type === "Withdrawn") expectTypeOf(event.data.by).toEqualTypeOf<string>();
        // @ts-expect-error a deposit has no `by`
        else void event.data.by;
        // @ts-expect-error this type is not selected
        void (event.type === "Closed");
      },
    });
  });

  it("takes all of an actor type's events, and those of several actor types", () => {
    define({
      ...common,
      events: { account: ["Deposited"], order: "all" },
      tables,
      apply: (event) => {
        expectTypeOf(event.type).toEqualTypeOf<"Deposited" | "Placed" | "Shipped">();
        if (event.actorType === "order") {
          expectTypeOf(event.type).toEqualTypeOf<"Placed" | "Shipped">();
        } else expectTypeOf(event.data.amount).toEqualTypeOf<bigint>();
        if (event.type === "Shipped") expectTypeOf(event.data).toEqualTypeOf<null>();
      },
    });
  });

  it("knows actor types and event types", () => {
    // @ts-expect-error no such actor type
    define({ ...common, events: { loan: "all" }, tables });
    // @ts-expect-error no such actor type beside one that is
    define({ ...common, events: { account: "all", loan: "all" }, tables });
    // @ts-expect-error no such event type
    define({ ...common, events: { account: ["Opened"] }, tables });
    // @ts-expect-error another actor type's event
    define({ ...common, events: { account: ["Deposited", "Placed"] }, tables });
    // @ts-expect-error neither a list nor "all"
    define({ ...common, events: { account: "Deposited" }, tables });
    // @ts-expect-error nothing is selected
    define({ ...common, tables });
    expectTypeOf<EventSelection<Bank>["order"]>().toEqualTypeOf<
      readonly ("Placed" | "Shipped")[] | "all" | undefined
    >();
  });
});

describe("tables", () => {
  it("take and give values of their type", () => {
    define({
      ...common,
      events: { account: "all" },
      tables,
      apply: (_, t) => {
        expectTypeOf(t.balance.get("a")).toEqualTypeOf<bigint | undefined>();
        t.balance.put("a", 1n);
        // @ts-expect-error a number is no bigint
        t.balance.put("a", 1);
        // @ts-expect-error undefined is no value: delete it
        t.balance.put("a", undefined);
        // @ts-expect-error ids are text
        t.balance.get(1);
        expectTypeOf(t.balance.deleteIfPresent("a")).toEqualTypeOf<boolean>();
        expectTypeOf(t.balance.delete("a")).toEqualTypeOf<void>();
        // @ts-expect-error no such table
        void t.other;
      },
    });
  });

  it("give values that cannot be changed in place, throughout", () => {
    define({
      ...common,
      events: { account: "all" },
      tables,
      apply: (_, t) => {
        const cart = t.cart.get("a");
        if (cart === undefined) return;
        expectTypeOf(cart).toEqualTypeOf<Immutable<Cart>>();
        expectTypeOf(cart.items).toEqualTypeOf<readonly string[]>();
        expectTypeOf(cart.at).toEqualTypeOf<Date>();
        expectTypeOf(cart.picture).toEqualTypeOf<Uint8Array>();
        // @ts-expect-error a list that was got is read-only
        cart.items.push("x");
        // @ts-expect-error so is a property
        cart.items = [];
        // @ts-expect-error and what lies deeper
        if (cart.by[0] !== undefined) cart.by[0].id = "x";
        t.cart.put("a", { ...cart, items: [...cart.items, "x"] });
      },
    });
  });

  it("make the keys that are declared, of their own ids only", () => {
    define({
      ...common,
      events: { account: "all" },
      tables,
      keys: (event, t) => {
        expectTypeOf(t.balance.key(event.actor.id)).toEqualTypeOf<StateKey>();
        // @ts-expect-error while keys are told, nothing can be read
        void t.balance.get;
        return [t.balance.key(event.actor.id), t.cart.key("x")];
      },
    });
    // @ts-expect-error an id is no key
    define({ ...common, events: { account: "all" }, tables, keys: (event) => [event.actor.id] });
  });
});

declare const bank: EventStore<Bank>;
declare const other: EventStore<{ loan: { type: "Lent"; data: number } }>;
const balances = define({ ...common, events: { account: ["Deposited"] }, tables });
const options: ProjectorOptions = { state: memoryState() };

describe("a projection", () => {
  it("keeps the types of its events and tables", async () => {
    expectTypeOf(balances).toEqualTypeOf<Projection<Bank, typeof tables>>();
    const projector = await startProjector(bank, balances, options);
    expectTypeOf(await projector.tables.balance.get("a")).toEqualTypeOf<bigint | undefined>();
    expectTypeOf(await projector.tables.cart.get("a")).toEqualTypeOf<Immutable<Cart> | undefined>();
    // @ts-expect-error no such table
    void projector.tables.other;
  });

  it("runs on a store with its events", () => {
    // @ts-expect-error a store of other events
    void startProjector(other, balances, options);
    expectTypeOf(startProjector(bank, balances, options)).resolves.toHaveProperty("tables");
  });
});

describe("the test kit", () => {
  it("takes events with their actors, and gives typed tables", () => {
    const state = stateOf(balances).after([
      { actor: alice, type: "Deposited", data: { amount: 1n } },
      { actor: { type: "order", id: "1" }, type: "Shipped", recordedAt: new Date() },
    ]);
    expectTypeOf(state.tables.balance.get("a")).toEqualTypeOf<bigint | undefined>();
    expectTypeOf(state.tables.cart.entries()).toEqualTypeOf<ReadonlyMap<string, Immutable<Cart>>>();
    // @ts-expect-error an account is not placed
    state.after([{ actor: alice, type: "Placed", data: { items: [] } }]);
    // @ts-expect-error a number is no bigint
    state.after([{ actor: alice, type: "Deposited", data: { amount: 1 } }]);
    // @ts-expect-error the actor is missing
    state.after([{ type: "Deposited", data: { amount: 1n } }]);
    expectTypeOf<GivenEvent<Bank>["type"]>().toEqualTypeOf<
      "Deposited" | "Withdrawn" | "Closed" | "Placed" | "Shipped"
    >();
  });

  it("expects entries of the projection's tables, or none", () => {
    const scene = given(balances, []).when([]);
    expectTypeOf(scene.thenFails(RangeError)).toEqualTypeOf<Error>();
    scene.then({ balance: { alice: 10n, bob: undefined } });
    // @ts-expect-error a number is no bigint
    scene.then({ balance: { alice: 10 } });
    // @ts-expect-error no such table
    scene.then({ other: {} });
    scene.thenFails(/overdrawn/);
    // @ts-expect-error text is neither a class nor a pattern
    scene.thenFails("overdrawn");
  });

  it("gives a store of the test's events", async () => {
    const test = await testStore<Bank>({ stream: "BANK", prefix: "b" });
    expectTypeOf(test.store).toEqualTypeOf<EventStore<Bank>>();
    // @ts-expect-error no such option
    void testStore({ servers: "x" });
  });
});
