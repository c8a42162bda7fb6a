import { describe, expectTypeOf, it } from "vitest";
import type {
  Actor,
  AppendEntry,
  AppendOptions,
  AppendResult,
  Commit,
  EventStore,
  NewEvent,
  RecordedEvent,
  StoreOptions,
  Subscription,
} from "../../src/index.ts";

type Deposited = { type: "Deposited"; data: { amount: bigint } };
type Withdrawn = { type: "Withdrawn"; data: { amount: bigint; by: string } };
type Placed = { type: "Placed"; data: { items: string[] } };
type Shipped = { type: "Shipped" };
type Bank = { account: Deposited | Withdrawn; order: Placed | Shipped };

declare const bank: EventStore<Bank>;
declare const loose: EventStore;

const alice = { type: "account", id: "alice" } as const;
const order = { type: "order", id: "7" } as const;
const deposited = { type: "Deposited", data: { amount: 1n } } as const;
const placed = { type: "Placed", data: { items: ["a"] } } satisfies Placed;

describe("append", () => {
  it("takes an actor type's own events only", () => {
    expectTypeOf(bank.append(alice, [deposited], { expectedVersion: 0 })).toEqualTypeOf<
      Promise<AppendResult>
    >();
    void bank.append(order, [placed, { type: "Shipped" }], { expectedVersion: "any" });
    // @ts-expect-error an account is not placed
    void bank.append(alice, [placed], { expectedVersion: 0 });
    // @ts-expect-error one wrong event among good ones
    void bank.append(alice, [deposited, placed], { expectedVersion: 0 });
    // @ts-expect-error no such actor type
    void bank.append({ type: "loan", id: "1" }, [deposited], { expectedVersion: 0 });
    // @ts-expect-error no such event type
    void bank.append(alice, [{ type: "Closed", data: {} }], { expectedVersion: 0 });
  });

  it("checks the data of each event by its type", () => {
    expectTypeOf<NewEvent<Withdrawn>["data"]>().toEqualTypeOf<Withdrawn["data"]>();
    // @ts-expect-error a number is no bigint
    void bank.append(alice, [{ type: "Deposited", data: { amount: 1 } }], { expectedVersion: 0 });
    // @ts-expect-error data is missing
    void bank.append(alice, [{ type: "Deposited" }], { expectedVersion: 0 });
    // @ts-expect-error a deposit names nobody's withdrawal: `by` is missing
    void bank.append(alice, [{ type: "Withdrawn", data: { amount: 1n } }], { expectedVersion: 0 });
  });

  it("takes metadata of an event", () => {
    const metadata = { correlationId: "c", tenant: 7 };
    void bank.append(alice, [{ ...deposited, metadata }], { expectedVersion: 0, metadata });
    // @ts-expect-error correlation ids are text
    void bank.append(alice, [deposited], { expectedVersion: 0, correlationId: 5 });
    expectTypeOf<NewEvent<Deposited>["data"]>().toEqualTypeOf<{ amount: bigint }>();
  });

  it("demands the expected version", () => {
    // @ts-expect-error options are missing
    void bank.append(alice, [deposited]);
    // @ts-expect-error the expected version is missing
    void bank.append(alice, [deposited], {});
    // @ts-expect-error undefined is no expectation
    void bank.append(alice, [deposited], { expectedVersion: undefined });
    // @ts-expect-error no such word
    void bank.append(alice, [deposited], { expectedVersion: "latest" });
    expectTypeOf<AppendOptions["expectedVersion"]>().toEqualTypeOf<
      number | "any" | "none" | "exists"
    >();
  });
});

describe("appendAll", () => {
  it("checks each entry by its own actor's type", () => {
    void bank.appendAll([
      { actor: alice, events: [deposited], expectedVersion: 1 },
      { actor: order, events: [placed], expectedVersion: "none" },
    ]);
    // @ts-expect-error an account is not placed
    void bank.appendAll([{ actor: alice, events: [placed], expectedVersion: 1 }]);
    // @ts-expect-error the expected version is missing
    void bank.appendAll([{ actor: alice, events: [deposited] }]);
    // @ts-expect-error the expectation belongs to the entry
    void bank.appendAll([{ actor: alice, events: [deposited] }], { expectedVersion: 1 });
    expectTypeOf<AppendEntry<Bank>["actor"]["type"]>().toEqualTypeOf<"account" | "order">();
  });
});

describe("reads", () => {
  it("give an actor's own events, whose type narrows their data", async () => {
    for await (const event of bank.read(alice)) {
      expectTypeOf(event.type).toEqualTypeOf<"Deposited" | "Withdrawn">();
      expectTypeOf(event.actor).toEqualTypeOf<Actor<"account">>();
      expectTypeOf(event.version).toEqualTypeOf<number>();
      expectTypeOf(event.recordedAt).toEqualTypeOf<Date>();
      if (event.type === "Withdrawn") expectTypeOf(event.data.by).toEqualTypeOf<string>();
      // @ts-expect-error a deposit has no `by`
      else void event.data.by;
    }
    expectTypeOf(await bank.readLast(order, 1)).items.toEqualTypeOf<RecordedEvent<Bank, "order">>();
  });

  it("of the stream give all events, which their type narrows", async () => {
    for await (const event of bank.readAll()) {
      expectTypeOf(event.type).toEqualTypeOf<"Deposited" | "Withdrawn" | "Placed" | "Shipped">();
      switch (event.type) {
        case "Deposited":
          expectTypeOf(event.data.amount).toEqualTypeOf<bigint>();
          expectTypeOf(event.actor.type).toEqualTypeOf<"account">();
          break;
        case "Withdrawn":
          expectTypeOf(event.data.by).toEqualTypeOf<string>();
          break;
        case "Placed":
          expectTypeOf(event.data.items).toEqualTypeOf<string[]>();
          expectTypeOf(event.actor.type).toEqualTypeOf<"order">();
          break;
        case "Shipped":
          expectTypeOf(event.data).toEqualTypeOf<null>();
          break;
        default:
          event satisfies never;
      }
    }
  });

  it("narrow by the actor's type", async () => {
    for await (const event of bank.readAll()) {
      if (event.actorType === "order") {
        expectTypeOf(event.type).toEqualTypeOf<"Placed" | "Shipped">();
      }
    }
  });

  it("filtered by type or actor give that type's events", async () => {
    for await (const event of bank.readAll({ actorType: "order" })) {
      expectTypeOf(event.type).toEqualTypeOf<"Placed" | "Shipped">();
    }
    for await (const event of bank.readAll({ actor: alice })) {
      expectTypeOf(event.type).toEqualTypeOf<"Deposited" | "Withdrawn">();
    }
    expectTypeOf(bank.subscribe({ actorType: "account" })).toEqualTypeOf<
      Subscription<RecordedEvent<Bank, "account">>
    >();
    for await (const commit of bank.readCommits({ actorType: "order" })) {
      expectTypeOf(commit).toEqualTypeOf<Commit<Bank, "order">>();
    }
    // @ts-expect-error no such actor type
    void bank.readAll({ actorType: "loan" });
    // @ts-expect-error a read of the stream has no "now"; only a subscription does: `limit` is not its option
    void bank.subscribe({ limit: 5 });
  });

  it("do not let events be changed", async () => {
    for await (const event of bank.read(alice)) {
      expectTypeOf(event.position).toEqualTypeOf<number>();
      // @ts-expect-error events are facts
      event.version = 5;
      // @ts-expect-error events are facts
      event.type = "Deposited";
    }
  });

  it("list actors of a known type", () => {
    expectTypeOf(bank.actors({ type: "order" })).toEqualTypeOf<
      AsyncIterableIterator<Actor<"order">>
    >();
    // @ts-expect-error no such actor type
    void bank.latestVersion({ type: "loan", id: "1" });
    // @ts-expect-error an actor needs an id
    void bank.exists({ type: "account" });
  });
});

describe("schemas and upcasters", () => {
  it("belong to known actor types, schemas also to known event types", () => {
    expectTypeOf<StoreOptions<Bank>["upcasters"]>().not.toBeAny();
    const schema = {
      "~standard": { version: 1, vendor: "x", validate: (value: unknown) => ({ value }) },
    } as const;
    void ({
      stream: "S",
      schemas: { account: { Deposited: schema } },
    } satisfies StoreOptions<Bank>);
    // @ts-expect-error no such event type
    void ({ stream: "S", schemas: { account: { Placed: schema } } } satisfies StoreOptions<Bank>);
    // @ts-expect-error no such actor type
    void ({ stream: "S", upcasters: { loan: {} } } satisfies StoreOptions<Bank>);
    const upcasters = { account: { Old: () => ({ type: "Deposited", data: { amount: 1n } }) } };
    void ({ stream: "S", upcasters } satisfies StoreOptions<Bank>);
  });
});

describe("a store without a map of events", () => {
  it("takes and gives any events", async () => {
    void loose.append({ type: "anything", id: "1" }, [{ type: "x", data: [1] }, { type: "y" }], {
      expectedVersion: "any",
    });
    for await (const event of loose.readAll()) {
      expectTypeOf(event.type).toEqualTypeOf<string>();
      expectTypeOf(event.data).toBeUnknown();
      expectTypeOf(event.actor.type).toEqualTypeOf<string>();
    }
    // @ts-expect-error even so, the expected version is stated
    void loose.append({ type: "anything", id: "1" }, [{ type: "x" }], {});
  });
});
