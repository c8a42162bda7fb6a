/** A program that runs the projection `sums` as its parent orders, until it is killed. */
import { setTimeout as delay } from "node:timers/promises";
import { AnnalError, EventStore } from "../../src/index.ts";
import { kvState, startProjector } from "../../src/projection/index.ts";
import type { ProjectorNews, ProjectorOrder } from "../support/projector-process.ts";
import { type Script, sums } from "../support/projector-sums.ts";

/** A server that is gone is asked again this often, as whoever restarts a service would. */
const RESTART_MS = 20;

function tell(news: ProjectorNews): void {
  process.send?.(news);
}

/** One life of a service; ends with what ended it. */
async function live(order: ProjectorOrder, onStarted: () => void): Promise<void> {
  const { url, stream, bucket, generationEvents, maxBatchEvents, requestTimeoutMs = 2_000 } = order;
  const reconnect = { reconnectTimeWait: 20, reconnectJitter: 10 };
  await using store = await EventStore.connect<Script>({ servers: url, stream, ...reconnect });
  await using projector = await startProjector(store, sums(), {
    state: kvState({ bucket, generationEvents, requestTimeoutMs }),
    maxBatchEvents,
  });
  onStarted();
  tell({ news: "started", applied: projector.status().applied });
  await projector.ended;
}

async function run(order: ProjectorOrder): Promise<void> {
  let started = false;
  for (;;) {
    try {
      await live(order, () => (started = true));
      return;
    } catch (error) {
      const code = error instanceof AnnalError ? error.code : "no_annal_error";
      const message = error instanceof Error ? `${error.stack}` : String(error);
      tell({ news: "failed", started, code, message });
      if (started) return;
    }
    await delay(RESTART_MS);
  }
}

process.on("message", (order: ProjectorOrder) => void run(order));
process.on("disconnect", () => process.exit(0));
tell({ news: "loaded" });
