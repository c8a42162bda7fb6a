import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../../support/server.ts";
import { isRunning } from "./server-probe.ts";

const PROGRAM = fileURLToPath(new URL("./starting-parent.ts", import.meta.url));

/** Runs a program that starts a server, and ends it by SIGKILL once it has said `lines` lines. */
async function runAndKill(
  mode: string,
  lines: number,
): Promise<{ pids: number[]; folder: string }> {
  const parent = spawn(process.execPath, ["--import", "tsx", PROGRAM, mode], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void parent.kill("SIGKILL"));
  const exited = once(parent, "exit");
  const said: string[] = [];
  for await (const line of createInterface({ input: parent.stdout })) {
    said.push(line);
    if (said.length === lines) break;
  }
  parent.kill("SIGKILL");
  await exited;
  const answer: unknown = JSON.parse(said[0] ?? "null");
  if (typeof answer !== "object" || answer === null) throw new Error("the program said nothing");
  const { pids, storeDir } = { pids: [], storeDir: "", ...answer };
  expect(pids.length).toBeGreaterThan(0);
  expect(storeDir).not.toBe("");
  return { pids, folder: storeDir };
}

async function expectNothingLeft({ pids, folder }: { pids: number[]; folder: string }) {
  await eventually(() => !pids.some(isRunning));
  await eventually(() => !existsSync(folder));
}

test("a server ends with a parent that was killed, and its temporary store is removed", async () => {
  await expectNothingLeft(await runAndKill("single", 1));
});

test("all nodes of a cluster end with a parent that was killed", async () => {
  await expectNothingLeft(await runAndKill("cluster", 1));
});

test("a paused server ends with a parent that was killed", async () => {
  await expectNothingLeft(await runAndKill("paused", 2));
});

test("a server ends with a parent that exits without stopping it", async () => {
  await expectNothingLeft(await runAndKill("exit", 1));
});
