import { expect, test } from "vitest";
import { describeRemedies } from "../../../src/server/remedies.ts";

test("names the package manager of the system", () => {
  expect(describeRemedies("darwin", [])).toContain("brew install nats-server");
  expect(describeRemedies("linux", [])).toContain("distribution");
});

test("says what was tried and what works everywhere", () => {
  const text = describeRemedies("sunos", ["/usr/bin/nats-server is too old"]);
  expect(text).toContain("/usr/bin/nats-server is too old");
  expect(text).toContain("ANNAL_NATS_SERVER");
  expect(text).toContain("NATS_URL");
});
