/** A program with a ledger of its own that does what its parent says: `ledger-process.ts NAME URL STREAM`. */
import { setTimeout as delay } from "node:timers/promises";
import { EventStore } from "../../src/index.ts";
import { Ledgers } from "../../src/ledger/index.ts";
import type { Report, Task } from "./ledger-child.ts";
import { Hammer, transferAmong } from "./ledger-hammer.ts";

const [name = "process", servers = "", stream = ""] = process.argv.slice(2);
const store = await EventStore.connect({ servers, stream, reconnectTimeWait: 50 });
const ledgers = await Ledgers.open(store, { snapshotBucket: false, commandTimeoutMs: 15_000 });
const ledger = await ledgers.open("main");

async function run(task: Task): Promise<Report> {
  const { lanes, asset, atMs } = task;
  await delay(Math.max(0, atMs - Date.now()));
  const send =
    task.do === "spend"
      ? (idempotencyKey: string) =>
          ledger.spend(
            { from: task.from, to: `till-${name}`, asset, amount: 1n },
            { idempotencyKey },
          )
      : transferAmong(ledger, task.accounts, asset);
  const load = new Hammer(name, lanes, send, task.do === "spend" ? task.perLane : undefined);
  let told = 0;
  const telling = setInterval(() => {
    process.send?.({ told: load.done.slice(told) });
    told = load.done.length;
  }, 20);
  if (task.do === "transfer") {
    await delay(task.durationMs);
    await load.stop();
  } else {
    await load.ended();
  }
  clearInterval(telling);
  return {
    done: load.done,
    refused: load.refused.get("insufficient_funds") ?? 0,
    failures: load.failures.map(String),
  };
}

process.on("message", (task: Task) => void run(task).then((report) => process.send?.(report)));
process.on("disconnect", () => process.exit(0));
process.send?.("open");
