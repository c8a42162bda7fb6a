import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { InvalidArgumentError, ServerStartError } from "../../../src/errors.ts";
import { EventStore } from "../../../src/store/event-store.ts";
import { testStore } from "../../../src/testing/index.ts";

type Notes = { note: { type: "Noted"; data: { n: number } } };

const actor = { type: "note", id: "1" } as const;
const noted = { type: "Noted", data: { n: 1 } } as const;

describe("testStore", () => {
  it("gives a store on a server of its own, and leaves nothing behind", async () => {
    let folder: string | undefined;
    let pid: number | undefined;
    {
      await using test = await testStore<Notes>();
      folder = test.server.storeDir;
      pid = test.server.pid;
      const { position } = await test.store.append(actor, [noted], { expectedVersion: "none" });
      expect(position).toBe(1);
      await using second = await EventStore.connect<Notes>({ servers: test.url, stream: "TEST" });
      expect(await second.latestVersion(actor)).toBe(1);
    }
    expect(existsSync(String(folder))).toBe(false);
    expect(() => process.kill(Number(pid), 0)).toThrow(/ESRCH/);
  });

  it("takes the stream's name and the store's options", async () => {
    await using test = await testStore<Notes>({ stream: "NOTES", prefix: "n", cacheMaxActors: 0 });
    await test.store.append(actor, [noted], { expectedVersion: "none" });
    expect(test.store.health().stream).toBe("NOTES");
    expect(test.store.cachedVersion(actor)).toBeUndefined();
  });

  it("goes on with the same events after its server was killed and restarted", async () => {
    await using test = await testStore<Notes>();
    await test.store.append(actor, [noted], { expectedVersion: "none" });
    await test.server.kill();
    await test.server.restart();
    await test.store.append(actor, [noted], { expectedVersion: 1 });
    expect(await test.store.latestVersion(actor)).toBe(2);
  });

  it("stops the server where the store cannot be opened", async () => {
    await expect(testStore({ stream: "a b" })).rejects.toThrow(InvalidArgumentError);
  });

  it("fails where the server does not start", async () => {
    const server = { config: "no_such_option: 1", startTimeoutMs: 5_000 };
    await expect(testStore({ server })).rejects.toThrow(ServerStartError);
  });
});
