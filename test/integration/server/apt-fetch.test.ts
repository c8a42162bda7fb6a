import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findServer, startServer } from "../../../src/server/index.ts";

const hasApt = existsSync("/usr/bin/apt-get") && existsSync("/etc/debian_version");

test.skipIf(!hasApt)(
  "two processes at once fetch a server by apt into one cache",
  async (context) => {
    const cache = await mkdtemp(join(tmpdir(), "annal-test-"));
    onTestFinished(() => rm(cache, { recursive: true, force: true }));
    const env = { ...process.env, XDG_CACHE_HOME: cache };
    const phases = new Set<string>();
    const notices: string[] = [];
    const fetchOne = () =>
      findServer({
        env,
        places: ["apt"],
        onProgress({ phase, message }) {
          phases.add(phase);
          if (phase === "notice") notices.push(message);
        },
      });
    const found = await Promise.all([fetchOne(), fetchOne()]).catch((error: unknown) => {
      const offline = notices.some((notice) => /could not read/.test(notice));
      if (offline) context.skip(`the Debian mirror cannot be reached: ${notices.join("; ")}`);
      throw error;
    });
    const [one, two] = found;
    expect(one).toEqual(two);
    expect([...phases]).toEqual(expect.arrayContaining(["index", "download", "unpack"]));

    const folder = join(cache, "annal", "nats-server");
    if (one?.kind !== "binary") throw new Error("expected a binary");
    expect(await readdir(folder)).toEqual([one.version]);
    expect(await findServer({ env: { XDG_CACHE_HOME: cache }, places: ["cache"] })).toMatchObject({
      path: one.path,
    });
    await using server = await startServer({ binary: one.path });
    expect(server.version).toBe(one.version);
  },
);
