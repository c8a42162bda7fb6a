import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { account, type BankStore, Stage, write } from "./version-cache-stage.ts";

let stage: Stage;
let store: BankStore;

beforeEach(async () => {
  stage = await Stage.open();
  store = await stage.store();
});

afterEach(() => stage[Symbol.asyncDispose]());

describe("head", () => {
  it("is 0 in an empty stream", async () => {
    expect(await store.head()).toBe(0);
  });

  it("is the position of the last commit that stands in the stream, which can be waited for", async () => {
    await write(stage.external, account("bob"), 2);
    await write(stage.external, account("alice"), 1);
    expect(await store.head()).toBe(3);
    await stage.admin.streams.purge(stage.stream, { filter: stage.subject(account("alice")) });
    expect(await store.head()).toBe(2);
    await store.waitFor(await store.head());
  });

  it("is asked of the leader alone", async () => {
    await store.head();
    expect(stage.wire.published.map(({ subject }) => subject)).toEqual([
      `$JS.API.STREAM.MSG.GET.${stage.stream}`,
    ]);
  });
});
