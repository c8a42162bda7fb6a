/** A program with a reactor that writes down what it handles: `reactor-process.ts URL STREAM FILE`. */
import { appendFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { startReactor } from "../../src/projection/index.ts";
import { LEASE_MS, REACTOR, SAVED_EVERY } from "../support/fault-reactor.ts";
import { openStore } from "../support/fault-store.ts";

const [url = "", stream = "", file = ""] = process.argv.slice(2);
const store = await openStore(url, stream);

// Written at once, so that it stands there whatever becomes of the process.
function note(what: "begin" | "end", n: number): void {
  appendFileSync(file, `${process.pid} ${what} ${n}\n`);
}

const reactor = await startReactor(store, {
  name: REACTOR,
  events: { counter: ["Counted"] },
  leaseMs: LEASE_MS,
  checkpointEvery: SAVED_EVERY,
  handle: async ({ data }, { signal }) => {
    note("begin", data.n);
    await delay(4, undefined, { signal });
    note("end", data.n);
  },
});
reactor.ended.catch((error: unknown) => process.send?.(`failed: ${String(error)}`));

// In a turn of its own: never between the look at the lease and the call of `handle`, where nothing can help.
process.on("message", () => process.kill(process.pid, "SIGSTOP"));
process.on("disconnect", () => process.exit(0));
process.send?.("open");
