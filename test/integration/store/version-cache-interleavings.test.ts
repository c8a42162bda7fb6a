import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CorruptCommitError, ReadTimeoutError } from "../../../src/index.ts";
import { eventually } from "../../support/server.ts";
import { answerTo, type Hold, publishTo } from "../../support/wire.ts";
import {
  account,
  type BankStore,
  deposits,
  outcomeOf,
  rejection,
  Stage,
  versions,
  write,
} from "./version-cache-stage.ts";

let stage: Stage;
let store: BankStore;
const alice = account("alice");
const bob = account("bob");

beforeEach(async () => {
  stage = await Stage.open();
  await write(stage.external, alice, 2);
  store = await stage.store();
});

afterEach(() => stage[Symbol.asyncDispose]());

/** Suspends the next fetches of alice's head after the server has answered them; later ones pass. */
function holdHeads(count = 1): Hold {
  const isHead = answerTo(stage.headRequest(alice));
  let left = count;
  return stage.wire.hold((frame) => isHead(frame) && left-- > 0);
}

describe("V7 no interleaving lowers the cache", () => {
  it("V7 a latestVersion that saw version 2 resumes after an append wrote 3", async () => {
    await store.latestVersion(alice);
    const held = holdHeads();
    const latest = store.latestVersion(alice);
    await held.reached();
    await store.append(alice, deposits(), { expectedVersion: 2 });
    expect(store.cachedVersion(alice)).toBe(3);
    held.release();
    expect(await latest).toBe(3);
    expect(store.cachedVersion(alice)).toBe(3);
  });

  it("V7 a latestVersion on a cold cache that saw version 2 resumes after an append wrote 3", async () => {
    const held = holdHeads();
    const latest = store.latestVersion(alice);
    await held.reached();
    await store.append(alice, deposits(), { expectedVersion: 2 });
    held.release();
    expect(await latest).toBe(3);
    expect(store.cachedVersion(alice)).toBe(3);
  });

  it("V7 a read that saw version 2 resumes after an append wrote 3", async () => {
    await store.latestVersion(alice);
    const held = holdHeads();
    const read = versions(store, alice);
    await held.reached();
    await store.append(alice, deposits(), { expectedVersion: 2 });
    held.release();
    expect(await read).toEqual([1, 2]);
    expect(store.cachedVersion(alice)).toBe(3);
    const asked = await stage.askedBy(() =>
      store.append(alice, deposits(), { expectedVersion: 3 }),
    );
    expect(asked).toEqual({ appends: 1, heads: 0, others: 0 });
  });

  it("V7 a cold append's fetch that saw version 2 resumes after a subscription showed 3", async () => {
    const live = store.subscribe({ after: "now" });
    const reading = (async () => {
      for await (const event of live) if (event.version === 4) break;
    })();
    await live.caughtUp;
    const held = holdHeads();
    const append = store.append(alice, deposits(), { expectedVersion: "any" });
    await held.reached();
    expect(held.frames[0]?.headers.get("Annal-Version")).toMatch(/^2\./);
    await write(stage.external, alice, 1);
    await eventually(() => store.cachedVersion(alice) === 3);
    const published = stage.wire.hold(publishTo(stage.subject(alice)));
    held.release();
    await published.reached();
    expect(store.cachedVersion(alice)).toBe(3);
    published.release();
    expect((await append).version).toBe(4);
    expect(stage.asked().appends).toBe(1);
    await reading;
  });

  it("V7 the fetch under the mutex resumes with version 2 after a read outside it cached 3", async () => {
    const held = holdHeads();
    const refused = rejection(store.append(alice, deposits(), { expectedVersion: 2 }));
    await held.reached();
    await write(stage.external, alice, 1);
    expect(await store.latestVersion(alice)).toBe(3);
    expect(store.cachedVersion(alice)).toBe(3);
    held.release();
    expect(await refused).toMatchObject({ expectedVersion: 2, actualVersion: 3 });
    expect(store.cachedVersion(alice)).toBe(3);
    const asked = await stage.askedBy(() =>
      store.append(alice, deposits(), { expectedVersion: 3 }),
    );
    expect(asked).toEqual({ appends: 1, heads: 0, others: 0 });
  });
});

describe("V8 after that interleaving", () => {
  it("V8 an append with expected version 2 is refused", async () => {
    await store.latestVersion(alice);
    const held = holdHeads(2);
    const latest = store.latestVersion(alice);
    const read = versions(store, alice);
    await held.reached(2);
    await store.append(alice, deposits(), { expectedVersion: 2 });
    held.release();
    await Promise.all([latest, read]);
    const refused = await rejection(store.append(alice, deposits(), { expectedVersion: 2 }));
    expect(refused).toMatchObject({
      code: "version_conflict",
      expectedVersion: 2,
      actualVersion: 3,
    });
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3]);
  });
});

describe("a latestVersion that has to ask again because an append went past it", () => {
  it("keeps to its own time while another append to the actor hangs", async () => {
    const held = holdHeads();
    const latest = outcomeOf(store.latestVersion(alice, { timeoutMs: 200 }));
    await held.reached();
    await store.append(alice, deposits(), { expectedVersion: 2 });
    const hanging = stage.wire.hold(publishTo(stage.subject(alice)));
    const append = store.append(alice, deposits(), { expectedVersion: 3, timeoutMs: 2_000 });
    const appended = outcomeOf(append);
    await hanging.reached();
    held.release();
    expect(await Promise.race([latest, appended])).toBe("ReadTimeoutError");
    hanging.release();
    expect((await append).version).toBe(4);
  });
});

describe("V14 a failed fetch leaves the cache unchanged", () => {
  it("V14 where the server's answers get lost", async () => {
    const impatient = await stage.store({ readTimeoutMs: 150 });
    await impatient.latestVersion(alice);
    const lost = stage.wire.drop(answerTo(/\.GET\./), 1_000);
    await expect(impatient.latestVersion(alice)).rejects.toThrow(ReadTimeoutError);
    await expect(versions(impatient, alice)).rejects.toThrow(ReadTimeoutError);
    expect(lost.frames.length).toBeGreaterThanOrEqual(2);
    expect(impatient.cachedVersion(alice)).toBe(2);
    const asked = await stage.askedBy(() =>
      impatient.append(alice, deposits(), { expectedVersion: 2 }),
    );
    expect(asked).toEqual({ appends: 1, heads: 0, others: 0 });
  });

  it("V14 where what was fetched is no commit", async () => {
    await store.latestVersion(alice);
    await stage.nc.request(stage.subject(alice), "no commit");
    await expect(store.latestVersion(alice)).rejects.toThrow(CorruptCommitError);
    expect(store.cachedVersion(alice)).toBe(2);
    const refused = store.append(alice, deposits(), { expectedVersion: 2 });
    await expect(refused).rejects.toThrow(CorruptCommitError);
    expect(store.cachedVersion(alice)).toBe(2);
  });

  it("V14 where the caller gives up", async () => {
    await store.latestVersion(alice);
    const held = holdHeads();
    const giveUp = new AbortController();
    const latest = rejection(store.latestVersion(alice, { signal: giveUp.signal }));
    await held.reached();
    giveUp.abort(new Error("enough"));
    expect(await latest).toMatchObject({ message: "enough" });
    held.release();
    expect(store.cachedVersion(alice)).toBe(2);
    expect(await store.latestVersion(alice)).toBe(2);
  });
});

describe("V15 actors are independent", () => {
  it("V15 while the fetch for one actor hangs, appends and reads of others proceed", async () => {
    await write(stage.external, bob, 3);
    const held = holdHeads(2);
    const hanging = [
      store.append(alice, deposits(), { expectedVersion: 2 }),
      store.append(alice, deposits(), { expectedVersion: 3 }),
      store.latestVersion(alice),
    ];
    await held.reached(2);
    await store.append(bob, deposits(), { expectedVersion: 3 });
    expect(await versions(store, bob)).toEqual([1, 2, 3, 4]);
    expect(await store.latestVersion(bob)).toBe(4);
    await write(store, account("carol"), 20);
    await store.appendAll([
      { actor: bob, events: deposits(), expectedVersion: 4 },
      { actor: account("dora"), events: deposits(), expectedVersion: "none" },
    ]);
    expect(store.cachedVersion(alice)).toBeUndefined();
    held.release();
    await Promise.all(hanging);
    expect(store.cachedVersion(alice)).toBe(4);
  });
});

describe("V16 concurrent cold appends to one actor", () => {
  it("V16 share one fetch", async () => {
    const asked = await stage.askedBy(async () => {
      const results = await Promise.all(
        [2, 3, 4, 5, 6].map((version) =>
          store.append(alice, deposits(), { expectedVersion: version }),
        ),
      );
      expect(results.map(({ version }) => version)).toEqual([3, 4, 5, 6, 7]);
    });
    expect(asked).toEqual({ appends: 5, heads: 1, others: 0 });
  });

  it("V16 a caller that waits for the shared fetch and cancels does not cancel the others'", async () => {
    const held = holdHeads();
    const giveUp = new AbortController();
    const { signal } = giveUp;
    const first = store.append(alice, deposits(), { expectedVersion: 2 });
    const second = rejection(store.append(alice, deposits(), { expectedVersion: 3, signal }));
    const third = store.append(alice, deposits(), { expectedVersion: 3 });
    await held.reached();
    giveUp.abort(new Error("enough"));
    expect(await second).toMatchObject({ message: "enough" });
    held.release();
    expect((await first).version).toBe(3);
    expect((await third).version).toBe(4);
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3, 4]);
  });

  it("V16 the caller whose fetch is shared cancels: the others still get it, and nothing of its own is sent", async () => {
    const held = holdHeads();
    const giveUp = new AbortController();
    const { signal } = giveUp;
    const first = rejection(store.append(alice, deposits(), { expectedVersion: 2, signal }));
    const second = store.append(alice, deposits(), { expectedVersion: 2 });
    await held.reached();
    giveUp.abort(new Error("enough"));
    expect(await first).toMatchObject({ message: "enough" });
    held.release();
    expect((await second).version).toBe(3);
    expect(stage.asked()).toEqual({ appends: 1, heads: 1, others: 0 });
    expect(await versions(stage.external, alice)).toEqual([1, 2, 3]);
  });
});
