/** A program that runs the projection `stock` in small units until it is killed: `check-process.ts URL STREAM BUCKET`. */
import { EventStore } from "../../../src/index.ts";
import { kvState, startProjector } from "../../../src/projection/index.ts";
import { type Shop, stock } from "./check-shop.ts";

const [servers = "", stream = "", bucket = ""] = process.argv.slice(2);
const store = await EventStore.connect<Shop>({ servers, stream });
const state = kvState({ bucket, generationEvents: 7 });
const projector = await startProjector(store, stock(), { state, maxBatchEvents: 3 });
process.on("disconnect", () => process.exit(0));
process.send?.("started");
await projector.ended;
