import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ServerStartError } from "../../../src/errors.ts";
import { findServer, type ServerProgress } from "../../../src/server/index.ts";

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "annal-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A program that answers `--version` as a nats-server of that version does. */
async function writeProgram(path: string, version: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  await chmod(path, 0o755);
  return path;
}

/** An environment in which nothing is found but what the test puts there, and nothing is fetched. */
async function emptyMachine() {
  const folder = await freshFolder();
  const env: NodeJS.ProcessEnv = {
    PATH: join(folder, "bin"),
    XDG_CACHE_HOME: join(folder, "cache"),
  };
  return {
    folder,
    env,
    places: ["binary", "environment", "path", "cache"] as const,
    onPath: join(folder, "bin", "nats-server"),
    inCache: (version: string) =>
      join(folder, "cache", "annal", "nats-server", version, "nats-server"),
  };
}

test("looks at the option, the environment, PATH and the cache, in this order", async () => {
  const { folder, env, places, onPath, inCache } = await emptyMachine();
  const search = async (binary?: string) => findServer({ binary, env, places });

  await writeProgram(inCache("2.12.1"), "2.12.1");
  await writeProgram(inCache("2.15.0"), "2.15.0");
  expect(await search()).toMatchObject({ place: "cache", path: inCache("2.15.0") });

  await writeProgram(onPath, "2.12.4");
  expect(await search()).toMatchObject({ place: "path", path: onPath, version: "2.12.4" });

  env["ANNAL_NATS_SERVER"] = await writeProgram(join(folder, "named"), "2.13.0");
  expect(await search()).toMatchObject({ place: "environment", path: join(folder, "named") });

  const option = await writeProgram(join(folder, "option"), "2.14.0");
  expect(await search(option)).toMatchObject({ place: "binary", path: option, notices: [] });
});

test("passes over a server that is too old, with a notice", async () => {
  const { folder, env, places, onPath } = await emptyMachine();
  const old = await writeProgram(join(folder, "old"), "2.12.0");
  await writeProgram(onPath, "2.12.1");
  const progress: ServerProgress[] = [];
  const found = await findServer({
    binary: old,
    env,
    places,
    onProgress: (step) => progress.push(step),
  });
  expect(found).toMatchObject({ path: onPath, notices: [expect.stringContaining("2.12.0")] });
  expect(progress).toEqual([{ phase: "notice", message: found.notices[0] }]);
});

test("passes over a file on PATH that does not run", async () => {
  const { env, places, onPath, inCache } = await emptyMachine();
  await writeProgram(onPath, "2.15.0");
  await writeFile(onPath, "#!/bin/sh\nexit 1\n");
  await writeProgram(inCache("2.12.1"), "2.12.1");
  expect(await findServer({ env, places })).toMatchObject({ path: inCache("2.12.1") });
});

test("refuses a named executable that does not run, instead of taking another", async () => {
  const { folder, env, places, onPath } = await emptyMachine();
  await writeProgram(onPath, "2.15.0");
  const missing = join(folder, "missing");
  await expect(findServer({ binary: missing, env, places })).rejects.toThrow(missing);
  env["ANNAL_NATS_SERVER"] = missing;
  await expect(findServer({ env, places })).rejects.toThrow(/ANNAL_NATS_SERVER/);
});

test("says what to do where there is no server", async () => {
  const { env, places, onPath } = await emptyMachine();
  await writeProgram(onPath, "2.9.1");
  const failure = findServer({ env, places });
  await expect(failure).rejects.toThrow(ServerStartError);
  await expect(failure).rejects.toThrow(/nats-server 2\.9\.1.*passed over/);
  await expect(failure).rejects.toThrow(/ANNAL_NATS_SERVER/);
});

test("says so where apt is not there", async () => {
  const { env } = await emptyMachine();
  await expect(findServer({ env, places: ["apt"] })).rejects.toThrow(/apt/);
});

test("an aborted search rejects with the reason", async () => {
  const { env, places } = await emptyMachine();
  const reason = new Error("enough");
  await expect(findServer({ env, places, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
