/** A process that opens a ledger, and says how long that took and what memory it has then. */
import { EventStore } from "../../src/index.ts";
import { Ledgers } from "../../src/ledger/index.ts";

const [url = "", stream = "", name = ""] = process.argv.slice(2);
const store = await EventStore.connect({ servers: url, stream });
const ledgers = await Ledgers.open(store);
const startedAt = performance.now();
const ledger = await ledgers.open(name);
const ms = performance.now() - startedAt;
process.send?.({ ms, mb: process.memoryUsage().rss / 2 ** 20, version: ledger.version });
await ledgers.close();
await store.close();
process.disconnect();
