/**
 * A projector in a process of its own, so that its memory is its own: projects a stream into a bucket, an entry an
 * event, and sends how far the resident memory went.
 */
import { EventStore } from "../../src/index.ts";
import { kvState, startProjector } from "../../src/projection/index.ts";
import { sums } from "./projections.ts";

const [url = "", stream = "", bucket = ""] = process.argv.slice(2);
const SAMPLE_MS = 50;
let most = 0;
const sampler = setInterval(() => {
  most = Math.max(most, process.memoryUsage().rss);
}, SAMPLE_MS);
const store = await EventStore.connect({ servers: url, stream });
const projector = await startProjector(store, sums(undefined), {
  state: kvState({ bucket, generationEvents: 50_000 }),
});
await projector.caughtUp();
clearInterval(sampler);
process.send?.({ mb: most / 2 ** 20, applied: projector.status().applied });
await projector.close();
await store.close();
process.disconnect();
