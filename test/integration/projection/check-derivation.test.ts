import { describe, expect, it } from "vitest";
import { Derivation } from "../../../src/projection/check-derivation.ts";
import { ExpectedInMemory, type Known } from "../../../src/projection/check-expected.ts";
import type { Checkpoint } from "../../../src/projection/checkpoint.ts";
import { internalsOf } from "../../../src/store/internals.ts";
import { ShopStage, stock } from "./check-stage.ts";

const UNBOUNDED = Number.POSITIVE_INFINITY;
const limits = { maxKeys: UNBOUNDED, maxBytes: UNBOUNDED, maxValueBytes: UNBOUNDED };

/** What is derived through some places, one after the other, and how many events that took. */
async function derive(
  { store }: ShopStage,
  places: readonly Checkpoint[],
): Promise<{ known: ReadonlyMap<string, Known>; applied: number }> {
  const expected = new ExpectedInMemory({ format: "msgpack", limits });
  const { signal } = new AbortController();
  const isParked = (): Promise<boolean> => Promise.resolve(true);
  const parts = { internals: internalsOf(store), projection: stock(), expected, isParked, signal };
  const derivation = new Derivation(parts);
  try {
    for (const place of places) expect(await derivation.advanceTo(place)).toBe(true);
    const known = await expected.lookup([...expected.unseen()]);
    return { known, applied: derivation.checkpoint.applied };
  } finally {
    await derivation.close();
  }
}

/** A stream of commits of several events, and every place of it at which a checkpoint may stand. */
async function stageWithPlaces(): Promise<{ stage: ShopStage; places: readonly Checkpoint[] }> {
  const stage = await ShopStage.open();
  await stage.fill(3);
  const event = (count: bigint) => ({ type: "Stocked", data: { count, tag: "x" } }) as const;
  const events = [1n, 2n, 13n, 3n, 13n, 4n].map(event);
  await stage.store.append({ type: "article", id: "k0" }, events, { expectedVersion: "any" });
  await stage.stockUp("last", 1n);
  const places: Checkpoint[] = [];
  for await (const commit of stage.store.readCommits({ actorType: "article" })) {
    const { position, commitId } = commit;
    for (let taken = 1; taken <= commit.events.length; taken++) {
      places.push({ position, taken, commitId, applied: 0 });
    }
  }
  return { stage, places };
}

describe("the derivation of a check", () => {
  it("comes to the same state through whatever places", async () => {
    const { stage, places } = await stageWithPlaces();
    const atOnce = await derive(stage, places.slice(-1));
    expect(atOnce.applied).toBe(places.length);
    for (const step of [1, 2, 3, 5]) {
      const some = places.filter((_, at) => at % step === 0 || at === places.length - 1);
      expect(await derive(stage, some)).toEqual(atOnce);
    }
  });

  it("stops at a place, within a commit too, and does not go back", async () => {
    const { stage, places } = await stageWithPlaces();
    for (const [at, place] of places.entries()) {
      expect((await derive(stage, [place])).applied).toBe(at + 1);
    }
    const [first, second] = places;
    if (first === undefined || second === undefined) throw new Error("no places");
    await expect(derive(stage, [second, first])).rejects.toThrow("false");
  });

  it("refuses a place at which another commit stands", async () => {
    const { stage, places } = await stageWithPlaces();
    const wrong = places.slice(3, 4).map((place) => ({ ...place, commitId: "another" }));
    await expect(derive(stage, wrong)).rejects.toMatchObject({ code: "stream_rolled_back" });
    const gap = places.slice(1, 2).map((place) => ({ ...place, position: place.position + 1 }));
    await expect(derive(stage, gap)).rejects.toMatchObject({ code: "stream_rolled_back" });
  });
});
