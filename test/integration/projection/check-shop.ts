import { defineProjection, type Projection, table } from "../../../src/projection/index.ts";

/** A shop whose articles are stocked, renamed and given up. */
export type Shop = {
  article:
    | { readonly type: "Stocked"; readonly data: { readonly count: bigint; readonly tag: string } }
    | { readonly type: "Dropped"; readonly data: null };
  noise: { readonly type: "Heard"; readonly data: number };
};

const tables = {
  article: table<{
    readonly count: bigint;
    readonly tags: readonly string[];
    readonly since: Date;
    readonly digest: Uint8Array;
  }>(),
  total: table<number>(),
};
type ShopTables = typeof tables;
export type ShopProjection = Projection<Shop, ShopTables>;

/** Articles with values of all kinds, and how many there are. Stocking an unlucky count fails. */
export function stock(version = 1, unlucky = 13n): ShopProjection {
  return defineProjection<Shop>()({
    name: "stock",
    version,
    events: { article: ["Stocked", "Dropped"] },
    tables,
    keys: ({ actor }, t) => [t.article.key(actor.id), t.total.key("articles")],
    apply: (event, t) => {
      const { id } = event.actor;
      const known = t.article.get(id);
      const articles = t.total.get("articles") ?? 0;
      if (event.type === "Dropped") {
        if (t.article.deleteIfPresent(id)) t.total.put("articles", articles - 1);
        return;
      }
      const { count, tag } = event.data;
      if (count === unlucky) throw new Error("unlucky");
      const tags = [...(known?.tags ?? []), tag].slice(-3);
      const digest = new Uint8Array([event.version % 256, tag.length]);
      t.article.put(id, {
        count: (known?.count ?? 0n) + count,
        tags,
        since: known?.since ?? event.recordedAt,
        digest,
      });
      if (known === undefined) t.total.put("articles", articles + 1);
    },
  });
}
