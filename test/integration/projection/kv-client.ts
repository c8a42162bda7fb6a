import { connect, type KV } from "nats";
import { onTestFinished } from "vitest";
import type { EventStore } from "../../../src/index.ts";
import { natsUrl } from "../../support/server.ts";
import type { Script, Step } from "./stage.ts";

/** What any client of NATS sees. */
export async function openKv(bucket: string): Promise<KV> {
  const nc = await connect({ servers: natsUrl() });
  onTestFinished(() => nc.close());
  return nc.jetstream().views.kv(bucket, { bindOnly: true });
}

export async function append(store: EventStore<Script>, ...steps: Step[]): Promise<number> {
  const { position } = await store.append({ type: "script", id: "one" }, steps, {
    expectedVersion: "any",
  });
  return position;
}

export const added = (key: string, n: number): Step => ({ type: "Added", data: { key, n } });
export const removed = (key: string): Step => ({ type: "Removed", data: { key } });
