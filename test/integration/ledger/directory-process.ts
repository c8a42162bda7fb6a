/**
 * Another process with ledgers: `directory-process.ts URL STREAM`. It describes the ledgers that it is sent the names of,
 * and tells what it found; at the message "close" it closes everything, and has to end by itself.
 */
import { setTimeout as delay } from "node:timers/promises";
import { EventStore } from "../../../src/index.ts";
import { Ledgers } from "../../../src/ledger/ledgers.ts";

const [servers = "", stream = ""] = process.argv.slice(2);
const store = await EventStore.connect({ servers, stream });
const ledgers = await Ledgers.open(store, { openCacheTtlMs: 60_000 });
while (!ledgers.following) await delay(5);

async function answer(name: string): Promise<unknown> {
  if (name === "close") {
    await ledgers.close();
    await store.close();
    process.off("disconnect", exit);
    process.disconnect();
    return undefined;
  }
  try {
    return (await ledgers.describe(name)).metadata;
  } catch (error) {
    return error instanceof Error ? error.name : String(error);
  }
}

function exit(): void {
  process.exit(0);
}

process.on("disconnect", exit);
process.on("message", (name: string) => {
  void answer(name).then((found) => (process.connected ? process.send?.({ found }) : undefined));
});
process.send?.("started");
