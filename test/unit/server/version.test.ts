import { expect, test } from "vitest";
import { compareVersions, isSupported, parseVersion } from "../../../src/server/version.ts";

test.each([
  ["nats-server: v2.15.1", [2, 15, 1]],
  ["nats-server: v2.12.0-RC.3", [2, 12, 0]],
  ["2.15.1-1+b2", [2, 15, 1]],
])("finds the version in %s", (text, expected) => {
  expect(parseVersion(text)).toEqual(expected);
});

test("finds no version where there is none", () => {
  expect(parseVersion("command not found")).toBeUndefined();
});

test("compares numbers, not text", () => {
  expect(compareVersions([2, 9, 25], [2, 12, 1])).toBeLessThan(0);
  expect(compareVersions([3, 0, 0], [2, 99, 99])).toBeGreaterThan(0);
  expect(compareVersions([2, 12, 1], [2, 12, 1])).toBe(0);
});

test("supports 2.12.1 and newer", () => {
  expect(isSupported([2, 12, 0])).toBe(false);
  expect(isSupported([2, 12, 1])).toBe(true);
  expect(isSupported([2, 15, 0])).toBe(true);
});
