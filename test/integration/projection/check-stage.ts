import { spawnSync } from "node:child_process";
import { connect, headers, type KV, type NatsConnection } from "nats";
import { onTestFinished } from "vitest";
import { EventStore } from "../../../src/index.ts";
import {
  type CheckOptions,
  type CheckReport,
  check,
  kvState,
  type ProjectorOptions,
  startProjector,
} from "../../../src/projection/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { type Shop, type ShopProjection, stock } from "./check-shop.ts";

export { type Shop, type ShopProjection, stock } from "./check-shop.ts";

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

  /** Names of the streams of buckets that checks have left behind. */
  async scratchBuckets(): Promise<string[]> {
    const manager = await this.nc.jetstreamManager();
    const left: string[] = [];
    for await (const name of manager.streams.names()) {
      if (name.startsWith(`KV_${this.bucket}_v1_check_`)) left.push(name);
    }
    return left;
  }

  /** Removes what stands at a key, with nothing in its place. */
  async remove(key: string): Promise<void> {
    const manager = await this.nc.jetstreamManager();
    const filter = `$KV.${this.bucket}_v1.${key}`;
    await manager.streams.purge(`KV_${this.bucket}_v1`, { filter });
  }

  /** Writes an entry that names the place it likes. */
  async forge(key: string, data: Uint8Array, place: string): Promise<void> {
    const lines = headers();
    lines.set("Annal-Position", place);
    const subject = `$KV.${this.bucket}_v1.${key}`;
    await this.nc.jetstream().publish(subject, data, { headers: lines });
  }
}

/** Does something on another connection before it returns; `program` has `nc` and the arguments `args`. */
export function atOnce(program: string, ...args: readonly string[]): void {
  const whole = `
    import { connect } from "nats";
    const [, servers, ...args] = process.argv;
    const nc = await connect({ servers });
    ${program};
    await nc.close();`;
  const flags = ["--input-type=module", "-e", whole, natsUrl()];
  const { status, stderr } = spawnSync(process.execPath, [...flags, ...args]);
  if (status !== 0) throw new Error(String(stderr));
}
