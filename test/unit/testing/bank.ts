import { defineProjection, type Projection, table } from "../../../src/projection/definition.ts";
import type { GivenEvent } from "../../../src/testing/index.ts";

export type Bank = {
  readonly account:
    | { readonly type: "Deposited"; readonly data: { readonly amount: bigint } }
    | { readonly type: "Withdrawn"; readonly data: { readonly amount: bigint } }
    | { readonly type: "Closed" };
  readonly order: { readonly type: "Placed"; readonly data: { readonly items: readonly string[] } };
};
const tables = { balance: table<bigint>(), last: table<{ at: Date; position: number }>() };

export const alice = { type: "account", id: "alice" } as const;
export const bob = { type: "account", id: "bob" } as const;

export const balances: Projection<Bank, typeof tables> = defineProjection<Bank>()({
  name: "balances",
  version: 1,
  events: { account: ["Deposited", "Withdrawn", "Closed"] },
  tables,
  keys: ({ actor }, t) => [t.balance.key(actor.id)],
  apply: (event, t) => {
    const { id } = event.actor;
    t.last.put(id, { at: event.recordedAt, position: event.position });
    if (event.type === "Closed") {
      t.balance.delete(id);
      return;
    }
    const balance =
      (t.balance.get(id) ?? 0n) + (event.type === "Deposited" ? 1n : -1n) * event.data.amount;
    if (balance < 0n) throw new RangeError(`${id} is overdrawn`);
    t.balance.put(id, balance);
  },
});

export function deposited(
  amount: bigint,
  actor: GivenEvent<Bank>["actor"] = alice,
): GivenEvent<Bank> {
  return { actor: { ...alice, id: actor.id }, type: "Deposited", data: { amount } };
}

export function withdrawn(amount: bigint): GivenEvent<Bank> {
  return { actor: alice, type: "Withdrawn", data: { amount } };
}
