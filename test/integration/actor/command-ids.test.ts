import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../../src/index.ts";
import { account, deposit, transfer } from "./actor-account.ts";
import { ActorStage, refusal } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");
const carl = account("carl");

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

describe("the id of an event", () => {
  it("may be that of the command that it causes, which is remembered", async () => {
    const host = await stage.host();
    await host.send(alice, deposit(50));
    await host.send(alice, deposit(1), { commandId: "given" });
    await host.send(alice, transfer("bob"), { commandId: "several" });
    await stage.write(alice, 1);
    let version = 0;
    for await (const { id: commandId } of stage.external.read(alice)) {
      const first = await host.send(carl, deposit(1), { commandId });
      expect(first).toMatchObject({ version: ++version, replayed: false });
      const fresh = await stage.host({ snapshotBucket: false });
      for (const each of [host, fresh]) {
        expect(await each.send(carl, deposit(1), { commandId })).toEqual({
          ...first,
          replayed: true,
        });
      }
    }
    expect(await stage.truth(carl)).toMatchObject({ version: 4 });
  });
});

describe("the commit id of another append", () => {
  it("is no command id where a command could not be found again by it", async () => {
    const host = await stage.host();
    const alone = await host.send(alice, deposit(50));
    const several = await host.send(alice, transfer("bob"), { commandId: "several" });
    const unnamed = await host.send(alice, transfer("bob"));
    for (const { commandId } of [alone, several, unnamed].map((it) => ({
      commandId: it.commitId,
    }))) {
      const error = await refusal(host.send(carl, deposit(1), { commandId }));
      expect(error).toBeInstanceOf(InvalidArgumentError);
      expect(error).toMatchObject({ argument: "commandId" });
    }
    expect(await stage.truth(carl)).toMatchObject({ version: 0 });
  });

  it("is one where it was given: it is a command of each actor", async () => {
    const host = await stage.host();
    const { commitId } = await host.send(alice, deposit(50), { commandId: "given" });
    expect(await host.send(carl, deposit(1), { commandId: commitId })).toMatchObject({
      replayed: false,
    });
    expect(await host.send(carl, deposit(1), { commandId: commitId })).toMatchObject({
      replayed: true,
      version: 1,
    });
  });
});
