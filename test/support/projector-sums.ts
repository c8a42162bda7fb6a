import type { EventStore } from "../../src/index.ts";
import { defineProjection, type Projection, table } from "../../src/projection/index.ts";

export type Step =
  | { readonly type: "Added"; readonly data: { readonly key: string; readonly n: number } }
  | { readonly type: "Removed"; readonly data: { readonly key: string } }
  | { readonly type: "Moved"; readonly data: { readonly from: string; readonly to: string } };

/** Events of tests: each names the keys it changes. */
export type Script = { script: Step; noise: { readonly type: "Heard"; readonly data: number } };

const tables = { sum: table<number>(), moves: table<readonly string[]>() };
export type ScriptTables = typeof tables;

/** Sums by key, and the moves of each key: reads, puts and deletes of several keys. */
export function sums(version = 1, name = "sums"): Projection<Script, ScriptTables> {
  return defineProjection<Script>()({
    name,
    version,
    events: { script: ["Added", "Removed", "Moved"] },
    tables,
    keys: (event, t) => {
      if (event.type !== "Moved") return [t.sum.key(event.data.key)];
      const { from, to } = event.data;
      return [t.sum.key(from), t.sum.key(to), t.moves.key(to)];
    },
    apply: (event, t) => {
      if (event.type === "Added") {
        t.sum.put(event.data.key, (t.sum.get(event.data.key) ?? 0) + event.data.n);
      } else if (event.type === "Removed") {
        t.sum.deleteIfPresent(event.data.key);
      } else {
        const { from, to } = event.data;
        const amount = t.sum.get(from) ?? 0;
        if (from === to || amount === 0) return;
        t.sum.delete(from);
        t.sum.put(to, (t.sum.get(to) ?? 0) + amount);
        t.moves.put(to, [...(t.moves.get(to) ?? []), from].slice(-3));
      }
    },
  });
}

/** The same by a plain fold, step by step. */
export class SumsFold {
  readonly #sum = new Map<string, number>();
  readonly #moves = new Map<string, string[]>();

  /** As plain objects, by table. */
  get state(): Record<string, unknown> {
    return { sum: Object.fromEntries(this.#sum), moves: Object.fromEntries(this.#moves) };
  }

  apply({ type, data }: Step): void {
    if (type === "Added") this.#sum.set(data.key, (this.#sum.get(data.key) ?? 0) + data.n);
    else if (type === "Removed") this.#sum.delete(data.key);
    else {
      const amount = this.#sum.get(data.from) ?? 0;
      if (data.from === data.to || amount === 0) return;
      this.#sum.delete(data.from);
      this.#sum.set(data.to, (this.#sum.get(data.to) ?? 0) + amount);
      this.#moves.set(data.to, [...(this.#moves.get(data.to) ?? []), data.from].slice(-3));
    }
  }
}

export function fold(steps: readonly Step[]): Record<string, unknown> {
  const folded = new SumsFold();
  for (const step of steps) folded.apply(step);
  return folded.state;
}

const HOSTILE = ["", "é.", "a b", "*", "=41"];

/** All the keys that {@link randomSteps} may name. */
export function randomKeys(keys = 12): string[] {
  return HOSTILE.flatMap((start) => Array.from({ length: keys }, (_, n) => `${start}k${n}`));
}

/** Random steps over few keys, some of them hostile; the same ones for the same seed. */
export function randomSteps(count: number, seed: number, keys = 12): Step[] {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 0x1_0000_0000) * limit);
  };
  const key = (): string => (HOSTILE[below(HOSTILE.length)] ?? "") + `k${below(keys)}`;
  return Array.from({ length: count }, () => {
    const roll = below(10);
    if (roll < 6) return { type: "Added", data: { key: key(), n: below(9) + 1 } };
    if (roll < 8) return { type: "Removed", data: { key: key() } };
    return { type: "Moved", data: { from: key(), to: key() } };
  });
}

/** Appends the steps in their order, in commits of one to three events of a few actors, with noise in between. */
export async function appendSteps(
  store: EventStore<Script>,
  steps: readonly Step[],
): Promise<number> {
  let position = 0;
  for (let at = 0; at < steps.length; ) {
    const size = (at % 3) + 1;
    const actor = { type: "script", id: `s${at % 4}` } as const;
    const commit = steps.slice(at, at + size);
    ({ position } = await store.append(actor, commit, { expectedVersion: "any" }));
    if (at % 5 === 0) {
      const heard = { type: "Heard", data: at } as const;
      await store.append({ type: "noise", id: "n" }, [heard], { expectedVersion: "any" });
    }
    at += size;
  }
  return position;
}
