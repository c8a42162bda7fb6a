import { describe, expect, it } from "vitest";
import { deferred } from "../../../src/internal/deferred.ts";

describe("deferred", () => {
  it("is settled once, from outside", async () => {
    const good = deferred<number>();
    good.resolve(1);
    good.resolve(2);
    good.reject(new Error("too late"));
    await expect(good.promise).resolves.toBe(1);
    const bad = deferred();
    bad.reject("no");
    bad.resolve();
    await expect(bad.promise).rejects.toBe("no");
  });
});
