import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, onTestFinished, test } from "vitest";
import { standsStill } from "../../../src/server/stands-still.ts";
import { eventually } from "../../support/server.ts";

test("a process stands still from SIGSTOP to SIGCONT, and one that is none always", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1)"]);
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child, "spawn");
  const pid = child.pid ?? 0;
  expect(await standsStill(process.pid)).toBe(false);
  expect(await standsStill(pid)).toBe(false);
  child.kill("SIGSTOP");
  await eventually(() => standsStill(pid));
  child.kill("SIGCONT");
  await eventually(async () => !(await standsStill(pid)));
  const exited = once(child, "exit");
  child.kill("SIGKILL");
  await exited;
  expect(await standsStill(pid)).toBe(true);
});
