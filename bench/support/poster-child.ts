/** A process that posts to a ledger: opens it, says "ready", waits for "go", says what it did. */
import { once } from "node:events";
import { EventStore } from "../../src/index.ts";
import { Ledgers } from "../../src/ledger/index.ts";
import { postFor } from "./posters.ts";

const [url = "", stream = "", name = "", callers = "1", durationMs = "1000"] =
  process.argv.slice(2);
const store = await EventStore.connect({ servers: url, stream });
const ledgers = await Ledgers.open(store);
const ledger = await ledgers.open(name);
process.send?.("ready");
await once(process, "message");
const id = `${process.pid}`;
const posted = await postFor(ledger, Number(callers), Number(durationMs), id);
process.send?.(posted);
await ledgers.close();
await store.close();
process.disconnect();
