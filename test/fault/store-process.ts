/** A program with a store of its own that does what its parent says: `store-process.ts NAME URL STREAM`. */
import { setTimeout as delay } from "node:timers/promises";
import { AnnalError } from "../../src/index.ts";
import { mixOperations } from "../support/fault-mix.ts";
import type { Answer, Command } from "../support/fault-process.ts";
import {
  type Acknowledged,
  acknowledged,
  counted,
  counter,
  openStore,
} from "../support/fault-store.ts";

const [name = "writer", url = "", stream = ""] = process.argv.slice(2);
const store = await openStore(url, stream, { appendTimeoutMs: 30_000 });
const nothing = { acknowledged: [], refused: [] };

async function run(command: Command): Promise<Answer> {
  switch (command.do) {
    case "look": {
      const version = await store.latestVersion(counter(command.actor));
      return { ...nothing, version, cachedVersion: store.cachedVersion(counter(command.actor)) };
    }
    case "append":
      return append(command);
    case "fill":
      return { ...nothing, acknowledged: await fill(command.actors, command.appends) };
    case "mix":
      return mixOperations(store, name, command);
    default:
      return command satisfies never;
  }
}

async function append(command: Command & { readonly do: "append" }): Promise<Answer> {
  const { actor, expectedVersion, commitId, atMs = 0 } = command;
  const cachedVersion = store.cachedVersion(counter(actor));
  if (atMs > Date.now()) await delay(atMs - Date.now());
  const result = await store.append(counter(actor), [counted(name, 1)], {
    expectedVersion,
    commitId,
  });
  const { version } = result;
  return { acknowledged: [acknowledged(actor, result)], refused: [], version, cachedVersion };
}

/** One append after the other, the actors in turn. */
async function fill(actors: readonly string[], appends: number): Promise<Acknowledged[]> {
  const done: Acknowledged[] = [];
  for (let n = 0; n < appends; n++) {
    const actor = actors[n % actors.length] ?? "";
    const result = await store.append(counter(actor), [counted(name, n)], {
      expectedVersion: "any",
    });
    done.push(acknowledged(actor, result));
  }
  return done;
}

async function answer(command: Command): Promise<void> {
  let message: Answer;
  try {
    message = await run(command);
  } catch (error) {
    const code = error instanceof AnnalError ? error.code : "no_annal_error";
    const cachedVersion =
      "actor" in command ? store.cachedVersion(counter(command.actor)) : undefined;
    message = { ...nothing, code, message: String(error), cachedVersion };
  }
  process.send?.(message);
}

process.on("message", (command: Command) => void answer(command));
process.on("disconnect", () => process.exit(0));
process.send?.("open");
