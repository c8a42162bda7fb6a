import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collectGarbage: unknown = runInNewContext("gc");

/** What is live: heap and memory outside of it, after a collection. */
export async function usedMb(): Promise<number> {
  for (let turn = 0; turn < 2; turn += 1) {
    await delay(10);
    if (typeof collectGarbage === "function") collectGarbage();
  }
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 1e6;
}
