/** A program with a host of accounts that does what its parent says: `actor-process.ts NAME URL STREAM`. */
import { setTimeout as delay } from "node:timers/promises";
import { ActorHost } from "../../src/actor/index.ts";
import { EventStore } from "../../src/index.ts";
import { accountKind, type Bank } from "../integration/actor/actor-account.ts";
import type { Report, Task } from "./actor-child.ts";
import { transfersAmong, ActorLoad } from "./actor-load.ts";

const [name = "process", servers = "", stream = ""] = process.argv.slice(2);
const store = await EventStore.connect<Bank>({ servers, stream, reconnectTimeWait: 50 });
const kind = accountKind({ snapshot: { version: 1, every: 20 }, rememberedCommands: 1_000 });
const host = await ActorHost.start(store, [kind], { maxConflicts: 200 });

async function run({ accounts, lanes, atMs, durationMs }: Task): Promise<Report> {
  await delay(Math.max(0, atMs - Date.now()));
  const load = new ActorLoad(name, host, lanes, transfersAmong(accounts));
  let told = 0;
  const tell = (): void => {
    process.send?.({ told: load.done.slice(told) });
    told = load.done.length;
  };
  const telling = setInterval(tell, 20);
  await delay(durationMs);
  await load.stop();
  clearInterval(telling);
  tell();
  return { failures: load.failures.map(String), conflicts: host.status().conflicts };
}

process.on("message", (task: Task) => void run(task).then((report) => process.send?.(report)));
process.on("disconnect", () => process.exit(0));
process.send?.("open");
