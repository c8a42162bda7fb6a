import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../../support/server.ts";
import { answerTo, type Hold } from "../../support/wire.ts";
import { account, deposits, Stage, versions, write } from "./version-cache-stage.ts";

let stage: Stage;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await Stage.open();
});

afterEach(() => stage[Symbol.asyncDispose]());

function holdHead(): Hold {
  const isHead = answerTo(stage.headRequest(alice));
  let left = 1;
  return stage.wire.hold((frame) => isHead(frame) && left-- > 0);
}

describe("a head of which only the headers passed by", () => {
  it.each(["append", "appendAll"] as const)(
    "V20 is not appended behind by an %s whose look was overtaken by it",
    async (kind) => {
      const store = await stage.store({ follow: true });
      await write(stage.external, alice, 1);
      const first = holdHead();
      const latest = store.latestVersion(alice);
      await first.reached();
      // It passes by before the actor is in the cache; bob's, which is, shows when.
      await write(stage.external, alice, 1);
      await write(store, bob, 1);
      await write(stage.external, bob, 1);
      await eventually(() => expect(store.cachedVersion(bob)).toBe(2));
      first.release();
      expect(await latest).toBe(1);
      const look = holdHead();
      const expectedVersion = "any";
      const appending =
        kind === "append"
          ? store.append(alice, deposits(), { expectedVersion })
          : store.appendAll([{ actor: alice, events: deposits(), expectedVersion }]);
      await look.reached();
      await write(stage.external, alice, 1);
      await eventually(() => expect(store.cachedVersion(alice)).toBe(3));
      look.release();
      expect([await appending].flat()).toMatchObject([{ version: 4 }]);
      expect(await versions(stage.external, alice)).toEqual([1, 2, 3, 4]);
    },
  );
});
