import { connect, headers, type KV, type NatsConnection } from "nats";
import { onTestFinished } from "vitest";
import { EventStore } from "../../../src/index.ts";
import {
  type CheckOptions,
  type CheckReport,
  check,
  defineProjection,
  kvState,
  type Projection,
  type ProjectorOptions,
  startProjector,
  table,
} from "../../../src/projection/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";

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
export type ShopTables = typeof tables;
export type ShopProjection = Projection<Shop, ShopTables>;

/** Articles with values of all kinds, and how many there are. Stocking the count 13 fails. */
export function stock(version = 1): ShopProjection {
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
      if (count === 13n) throw new Error("unlucky");
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

/** A shop's store, its bucket, and a plain NATS client that may write where it should not. */
export class ShopStage {
  readonly store: EventStore<Shop>;
  readonly bucket: string;
  readonly nc: NatsConnection;

  private constructor(store: EventStore<Shop>, nc: NatsConnection) {
    this.store = store;
    this.nc = nc;
    this.bucket = freshStream("stock");
  }

  static async open(stream: string = freshStream()): Promise<ShopStage> {
    const store = await EventStore.connect<Shop>({ servers: natsUrl(), stream });
    const nc = await connect({ servers: natsUrl() });
    onTestFinished(async () => {
      await store.close();
      await nc.close();
    });
    return new ShopStage(store, nc);
  }

  /** Appends one event. @returns its position */
  async stockUp(id: string, count: bigint, tag = "new"): Promise<number> {
    const stocked = { type: "Stocked", data: { count, tag } } as const;
    const actor = { type: "article", id } as const;
    return (await this.store.append(actor, [stocked], { expectedVersion: "any" })).position;
  }

  async drop(id: string): Promise<number> {
    const actor = { type: "article", id } as const;
    const dropped = { type: "Dropped", data: null } as const;
    return (await this.store.append(actor, [dropped], { expectedVersion: "any" })).position;
  }

  /** A few articles, some hostile, one of them given up, in commits of several events, with noise between. */
  async fill(articles = 12): Promise<void> {
    for (let n = 0; n < articles; n++) {
      const id = `${["", "é.", "a b", "*"][n % 4]}k${n}`;
      const stocked = { type: "Stocked", data: { count: BigInt(n + 20), tag: `t${n}` } } as const;
      const actor = { type: "article", id } as const;
      await this.store.append(actor, [stocked, stocked], { expectedVersion: "any" });
      const heard = { type: "Heard", data: n } as const;
      await this.store.append({ type: "noise", id: "n" }, [heard], { expectedVersion: "any" });
    }
    await this.stockUp("given up", 5n);
    await this.drop("given up");
  }

  state(settings: { generationEvents?: number } = {}): CheckOptions["state"] {
    return kvState({ bucket: this.bucket, ...settings });
  }

  /** Runs the projection until it has caught up. */
  async project(
    options: Partial<ProjectorOptions> & { readonly projection?: ShopProjection } = {},
  ): Promise<void> {
    const { projection = stock(), ...others } = options;
    const state = this.state({ generationEvents: 7 });
    await using projector = await startProjector(this.store, projection, { state, ...others });
    await projector.caughtUp();
  }

  check(options: Partial<CheckOptions> = {}, projection = stock()): Promise<CheckReport> {
    return check(this.store, projection, { state: this.state(), ...options });
  }

  /** The bucket as a plain KV client of NATS sees it. */
  kv(version = 1): Promise<KV> {
    return this.nc.jetstream().views.kv(`${this.bucket}_v${version}`, { bindOnly: true });
  }

  /** What stands at a key, headers included, as it was published. */
  async entry(key: string): Promise<{ data: Uint8Array; place: string }> {
    const manager = await this.nc.jetstreamManager();
    const subject = `$KV.${this.bucket}_v1.${key}`;
    const message = await manager.streams.getMessage(`KV_${this.bucket}_v1`, {
      last_by_subj: subject,
    });
    return { data: message.data, place: message.header.get("Annal-Position") };
  }

  /** Writes an entry that names the place it likes. */
  async forge(key: string, data: Uint8Array, place: string): Promise<void> {
    const lines = headers();
    lines.set("Annal-Position", place);
    const subject = `$KV.${this.bucket}_v1.${key}`;
    await this.nc.jetstream().publish(subject, data, { headers: lines });
  }
}
