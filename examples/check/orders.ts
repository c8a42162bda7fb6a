import type { EventStore } from "annal";
import { defineProjection, table } from "annal/projection";
import type { RawRow } from "../multi-writer/event-log.ts";

/** Orders, whose events are the steps that they go through. */
export type Orders = { order: { readonly type: string; readonly data: { readonly by: string } } };

/** Where each order is, and how many orders went through each step. */
export const orderStates = defineProjection<Orders>()({
  name: "orders",
  version: 1,
  events: { order: "all" },
  tables: {
    order: table<{ readonly step: string; readonly by: string; readonly steps: number }>(),
    steps: table<bigint>(),
  },
  keys: ({ actor, type }, t) => [t.order.key(actor.id), t.steps.key(type)],
  apply: ({ actor, type, data }, t) => {
    const steps = (t.order.get(actor.id)?.steps ?? 0) + 1;
    t.order.put(actor.id, { step: type, by: data.by, steps });
    t.steps.put(type, (t.steps.get(type) ?? 0n) + 1n);
  },
});

const ORDERS_AT_ONCE = 256;

/** Appends the rows of a log, many orders at once, each order's rows in their order. */
export async function appendOrders(
  store: EventStore<Orders>,
  rows: readonly RawRow[],
): Promise<void> {
  const histories = new Map<string, RawRow[]>();
  for (const row of rows) {
    const known = histories.get(row.actorId);
    if (known === undefined) histories.set(row.actorId, [row]);
    else known.push(row);
  }
  const waiting = histories.entries();
  const append = async (): Promise<void> => {
    for (const [id, history] of waiting) {
      for (const { eventType: type, resource: by } of history) {
        await store.append({ type: "order", id }, [{ type, data: { by } }], {
          expectedVersion: "any",
        });
      }
    }
  };
  await Promise.all(Array.from({ length: ORDERS_AT_ONCE }, append));
}
