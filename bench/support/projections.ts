import { defineProjection, type Projection, table } from "../../src/projection/index.ts";

type Bench = {
  account: { readonly type: "Deposited"; readonly data: { readonly amount: number } };
};
const tables = { sum: table<number>() };

/** Sums over `keys` keys, which the events hit as if at random; over one key an event where there is no number. */
export function sums(keys: number | undefined): Projection<Bench, typeof tables> {
  return defineProjection<Bench>()({
    name: "sums",
    version: 1,
    events: { account: "all" },
    tables,
    keys: ({ actor, version }, t) => [t.sum.key(keyOf(actor.id, version, keys))],
    apply: ({ actor, version, data }, t) => {
      const key = keyOf(actor.id, version, keys);
      t.sum.put(key, (t.sum.get(key) ?? 0) + data.amount);
    },
  });
}

/** Sums by actor: the plainest projection there is. */
export function balances(): Projection<Bench, typeof tables> {
  return defineProjection<Bench>()({
    name: "balances",
    version: 1,
    events: { account: ["Deposited"] },
    tables,
    keys: ({ actor }, t) => [t.sum.key(actor.id)],
    apply: ({ actor, data }, t) => t.sum.put(actor.id, (t.sum.get(actor.id) ?? 0) + data.amount),
  });
}

function keyOf(id: string, version: number, keys: number | undefined): string {
  if (keys === undefined) return `${id}-${version}`;
  // The finaliser of MurmurHash3 spreads neighbours.
  let mixed = Math.imul(Number(id.slice(1)) + 1, 0x9e3779b1) ^ Math.imul(version, 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return `k${((mixed ^ (mixed >>> 16)) >>> 0) % keys}`;
}
