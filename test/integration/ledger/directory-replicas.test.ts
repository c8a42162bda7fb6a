import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type NatsServer, startServer } from "../../../src/server/index.ts";
import { asked, DirectoryStage } from "./directory-stage.ts";

let cluster: NatsServer;
let stage: DirectoryStage;

beforeAll(async () => {
  cluster = await startServer({ cluster: 3 });
  stage = await DirectoryStage.open(cluster.url);
});

afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  await cluster.stop();
});

describe("on a replicated stream", () => {
  it("O24a a load after an acknowledged change is answered by the leader, and shows the change", async () => {
    const directory = await stage.directory({ ttlMs: 0 }, { replicas: 3 });
    await directory.create(asked("main"));
    const external = await stage.external();
    for (let n = 0; n < 50; n++) {
      await external.setMetadata("main", { n });
      const requests = await stage.askedBy(async () => {
        expect((await directory.describe("main")).metadata).toEqual({ n });
      });
      const leader = `GET ${stage.stream}`;
      expect(requests).toEqual([leader, leader]);
    }
    await external.deleteBucket("eu");
    await expect(directory.describe("main")).rejects.toThrow("was deleted");
    expect(stage.wire.count(/DIRECT\.GET/)).toBe(0);
  });
});
