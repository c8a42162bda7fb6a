import { describe, expect, it } from "vitest";
import { type ActorHostOptions, resolveHostOptions } from "../../../src/actor/options.ts";
import { InvalidArgumentError } from "../../../src/index.ts";

describe("the options of a host", () => {
  it("have the defaults that their docs say", () => {
    const { now, ...settings } = resolveHostOptions({}, "BANK");
    expect(settings).toEqual({
      idleMs: 60_000,
      maxActors: 100_000,
      maxMailbox: 1_000,
      maxCommands: 100_000,
      commandTimeoutMs: 10_000,
      maxConflicts: 20,
      verifyRejections: true,
      snapshotBucket: "BANK_actors",
    });
    expect(Math.abs(now() - Date.now())).toBeLessThan(10_000);
  });

  it("are taken as they are", () => {
    const given = {
      idleMs: 1,
      maxActors: 2,
      maxMailbox: 3,
      maxCommands: 4,
      commandTimeoutMs: 5,
      maxConflicts: 0,
      verifyRejections: false,
      snapshotBucket: "elsewhere",
      now: () => 7,
    };
    expect(resolveHostOptions(given, "BANK")).toEqual(given);
    expect(resolveHostOptions({ snapshotBucket: false }, "BANK").snapshotBucket).toBeUndefined();
  });

  it.each<[string, unknown]>([
    ["idleMs", 0],
    ["maxActors", 0.5],
    ["maxMailbox", -1],
    ["maxCommands", Number.POSITIVE_INFINITY],
    ["commandTimeoutMs", "5"],
    ["maxConflicts", -1],
    ["verifyRejections", 1],
    ["now", 5],
  ])("are refused by name: %s = %j", (name, value) => {
    const refused = (): unknown => resolveHostOptions({ [name]: value }, "BANK");
    expect(refused).toThrow(InvalidArgumentError);
    expect(refused).toThrow(expect.objectContaining({ argument: name }));
  });

  it("are refused where they are none", () => {
    expect(() => resolveHostOptions(null as unknown as ActorHostOptions, "BANK")).toThrow(
      expect.objectContaining({ argument: "options" }),
    );
  });
});
