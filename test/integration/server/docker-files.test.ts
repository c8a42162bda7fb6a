import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { findServer } from "../../../src/server/index.ts";
import { runCommand } from "../../../src/server/run-command.ts";

const DOCKER = new URL("../../../docker/", import.meta.url);

test.each(["nats-server.conf", "nats-cluster.conf"])("docker/%s is valid", async (file) => {
  const found = await findServer({ places: ["binary", "environment", "path", "cache", "apt"] });
  if (found.kind !== "binary") throw new Error("expected a binary");
  const path = fileURLToPath(new URL(file, DOCKER));
  const env = { ...process.env, SERVER_NAME: "nats-1" };
  const { code, stderr } = await runCommand(found.path, ["-t", "-c", path], { env });
  expect(stderr).toContain("is valid");
  expect(code).toBe(0);
});

test.each([
  ["compose.yaml", "nats-server.conf"],
  ["compose.cluster.yaml", "nats-cluster.conf"],
])("docker/%s publishes on loopback only and mounts docker/%s", async (file, config) => {
  const text = await readFile(new URL(file, DOCKER), "utf8");
  expect(text).toContain(`./${config}:/etc/nats/${config}:ro`);
  const ports = [...text.matchAll(/"([\d.:]+:(?:4222|8222))"/g)].map(([, port]) => port);
  expect(ports.length).toBeGreaterThan(1);
  for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
});
