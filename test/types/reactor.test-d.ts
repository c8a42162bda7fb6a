import { assertType, expectTypeOf, it } from "vitest";
import type { EventStore } from "../../src/index.ts";
import { startReactor } from "../../src/projection/index.ts";

type Shop = {
  order:
    | { readonly type: "Placed"; readonly data: { readonly total: number } }
    | { readonly type: "Shipped"; readonly data: { readonly parcel: string } };
  customer: { readonly type: "Joined"; readonly data: { readonly mail: string } };
};

declare const store: EventStore<Shop>;

it("hands over the selected events, narrowed by their types", () => {
  void startReactor(store, {
    name: "mailer",
    events: { order: ["Placed"], customer: "all" },
    handle: async (event, { attempt, signal }) => {
      assertType<number>(attempt);
      assertType<AbortSignal>(signal);
      expectTypeOf(event.type).toEqualTypeOf<"Placed" | "Joined">();
      if (event.type === "Placed")
        expectTypeOf(event.data).toEqualTypeOf<{ readonly total: number }>();
      else expectTypeOf(event.data.mail).toEqualTypeOf<string>();
    },
  });
});

it("takes no actor types and event types that the store does not have", () => {
  const handle = (): void => {};
  expectTypeOf(handle).returns.toBeVoid();
  // @ts-expect-error no such event type
  void startReactor(store, { name: "a", events: { order: ["Lost"] }, handle });
  // @ts-expect-error no such actor type
  void startReactor(store, { name: "a", events: { order: "all", shop: "all" }, handle });
});
