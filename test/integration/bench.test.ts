import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { natsUrl } from "../support/server.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("the benches", () => {
  let folder = "";
  let output = "";
  let exitCode: unknown;
  let written: unknown;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "annal-bench-test-"));
    const json = join(folder, "report.json");
    const child = spawn(
      process.execPath,
      ["scripts/run.mjs", "bench", "main", "--quick", "--json", json],
      { cwd: root, env: { ...process.env, NATS_URL: natsUrl() } },
    );
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    [exitCode] = await once(child, "close");
    if (exitCode === 0) written = JSON.parse(await readFile(json, "utf8"));
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  test("all run to their end in quick mode", () => {
    if (exitCode !== 0) throw new Error(output);
    expect(output).toContain("follow: ");
  });

  test("write one report with the facts of the machine", () => {
    expect(written).toMatchObject({
      quick: true,
      machine: {
        cpu: expect.any(String),
        cores: expect.any(Number),
        memoryGb: expect.any(Number),
        node: process.versions.node,
        natsServer: expect.stringMatching(/^\d+\.\d+\.\d+/),
      },
    });
  });

  test.each([
    "append",
    "sequential",
    "load",
    "read-all",
    "memory",
    "follow",
    "projection",
    "actor",
    "ledger",
  ])("report finite figures of %s", (bench) => {
    const report = reportOf(written, bench);
    expect(report).toMatchObject({ bench, quick: true, seconds: expect.any(Number) });
    expect(Object.keys(report.sizes)).not.toHaveLength(0);
    expect(report.measures).not.toHaveLength(0);
    for (const measure of report.measures) {
      expect(measure.name).not.toBe("");
      expect(measure.rounds).toBeGreaterThan(0);
      expect([measure.median, measure.min, measure.max].every(Number.isFinite)).toBe(true);
      expect(measure.min).toBeLessThanOrEqual(measure.median);
      expect(measure.median).toBeLessThanOrEqual(measure.max);
    }
    expect(output).toContain(`\n${bench}: `);
  });

  test("compare every figure that has a target with it", () => {
    const targets = ["append", "sequential", "load", "read-all", "memory"].flatMap(
      (bench) => reportOf(written, bench).targets,
    );
    expect(targets.length).toBeGreaterThanOrEqual(11);
    for (const { value, limit, kind, met } of targets) {
      expect(met).toBe(kind === "at least" ? value >= limit : value <= limit);
    }
  });
});

interface Report {
  readonly sizes: Record<string, number>;
  readonly measures: readonly {
    readonly name: string;
    readonly rounds: number;
    readonly median: number;
    readonly min: number;
    readonly max: number;
  }[];
  readonly targets: readonly {
    readonly value: number;
    readonly limit: number;
    readonly kind: string;
    readonly met: boolean;
  }[];
}

function reportOf(written: unknown, bench: string): Report {
  expect(written).toMatchObject({ benches: expect.any(Array) });
  const { benches } = written as { readonly benches: readonly (Report & { bench: string })[] };
  const found = benches.find((report) => report.bench === bench);
  if (found === undefined) throw new Error(`no report of ${bench}`);
  return found;
}
