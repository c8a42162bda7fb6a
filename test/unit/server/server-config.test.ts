import { expect, test } from "vitest";
import { InvalidArgumentError } from "../../../src/errors.ts";
import { formatServerConfig, type NodeSettings } from "../../../src/server/server-config.ts";

const SETTINGS: NodeSettings = {
  name: "annal",
  host: "127.0.0.1",
  clientPort: 4222,
  monitorPort: 8222,
  sync: "always",
};

test("syncs as asked", () => {
  expect(formatServerConfig(SETTINGS)).toContain("sync_interval: always");
  expect(formatServerConfig({ ...SETTINGS, sync: "500ms" })).toContain('sync_interval: "500ms"');
  expect(formatServerConfig({ ...SETTINGS, sync: "default" })).not.toContain("sync_interval");
});

test.each(["", "never", "10", "0s", "1s\nport: 1"])("refuses %j as a sync mode", (sync) => {
  expect(() => formatServerConfig({ ...SETTINGS, sync })).toThrow(InvalidArgumentError);
});

test("puts further lines last, so that they win", () => {
  const text = formatServerConfig({ ...SETTINGS, extra: "max_payload: 64KB" });
  expect(text.trimEnd().endsWith("\nmax_payload: 64KB")).toBe(true);
});

test("tells each node of a cluster all routes", () => {
  const cluster = { name: "annal", port: 6001, routePorts: [6001, 6002, 6003] };
  const text = formatServerConfig({ ...SETTINGS, cluster });
  for (const port of cluster.routePorts) expect(text).toContain(`"nats://127.0.0.1:${port}"`);
});
