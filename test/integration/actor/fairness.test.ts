import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { account, deposit } from "./actor-account.ts";
import { ActorStage } from "./actor-stage.ts";

let stage: ActorStage;
const alice = account("alice");

beforeEach(async () => {
  stage = await ActorStage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

describe("a host whose mailbox of an actor is never empty", () => {
  it("lets another host get through with its commands to that actor", async () => {
    const [busy, other] = [await stage.host(), await stage.host()];
    await busy.send(alice, deposit());
    await other.load(alice);
    const end = new AbortController();
    const lane = async (): Promise<void> => {
      while (!end.signal.aborted) await busy.send(alice, deposit());
    };
    const lanes = Promise.all(Array.from({ length: 8 }, lane));
    try {
      for (let n = 0; n < 20; n++) await other.send(alice, deposit());
    } finally {
      end.abort();
      await lanes;
    }
    expect(other.status().commands).toBe(20);
  });
});
