import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { readJson } from "../../../examples/lib/json-input.ts";
import { parseScenarios } from "../../../examples/lot-scenarios/scenario.ts";
import { freshStream } from "../../support/server.ts";
import { changedFixture } from "./changed-fixture.ts";
import { runExample } from "./run-example.ts";

const part = fileURLToPath(
  new URL("../../fixtures/ledger/lot-scenarios-part.json", import.meta.url),
);
const whole = fileURLToPath(new URL("../../../../shared/data/lot-scenarios.json", import.meta.url));
const there = existsSync(whole);
if (!there) console.warn(`skips the whole file of lot scenarios: ${whole} is not there`);

/** How many scenarios passed under each policy, as the table says. */
function passed(output: string): readonly string[] {
  return [...output.matchAll(/^ {2}(\S+@1) +[\d,]+ +[\d,]+ +([\d,]+ of [\d,]+)$/gm)].map(
    ([, policy, of]) => `${policy}: ${of}`,
  );
}

describe("the lot-scenarios example", () => {
  it("passes its own scenarios under both drain policies", async () => {
    const { code, output } = await runExample("lot-scenarios", ["--stream", freshStream("LOTS")]);
    expect(passed(output)).toEqual(["emission-first@1: 3 of 3", "expiration-first@1: 3 of 3"]);
    expect(code).toBe(0);
  });

  it("passes scenarios that another implementation of credit lots has answered", async () => {
    const args = ["--input", part, "--stream", freshStream("LOTS")];
    const { code, output } = await runExample("lot-scenarios", args);
    expect(passed(output)).toEqual(["emission-first@1: 12 of 12", "expiration-first@1: 12 of 12"]);
    expect(output).toMatch(/^ {2}emission-first@1 +32 +0 /m);
    expect(code).toBe(0);
  });

  it("fails under the policy whose answer is another one", async () => {
    const changed = changedFixture(part, [
      ['"expectExpirationFirst": 5000000', '"expectExpirationFirst": 0'],
    ]);
    const args = ["--input", changed, "--only", "fifo-1", "--stream", freshStream("LOTS")];
    const { code, output } = await runExample("lot-scenarios", args);
    expect(passed(output)).toEqual(["emission-first@1: 1 of 1", "expiration-first@1: 0 of 1"]);
    expect(output).toContain("✗ expiration-first@1: fifo-1-non-expiring-first-leaves-0, query 1");
    expect(output).toMatch(/expected 0\n +found +5000000/);
    expect(code).toBe(1);
  });

  it("goes on behind a scenario that cannot be played", async () => {
    const changed = changedFixture(part, [
      ['"account": "0xrecipient"', '"account": "0x recipient"'],
    ]);
    const args = ["--input", changed, "--stream", freshStream("LOTS")];
    const { code, output } = await runExample("lot-scenarios", args);
    expect(passed(output)).toEqual(["emission-first@1: 11 of 12", "expiration-first@1: 11 of 12"]);
    expect(output).toMatch(/✗ emission-first@1: whitelisted-sender-mints-no-debit\n +ended with/);
    expect(output).toContain("an account such as users:alice");
    expect(code).toBe(1);
  });

  it.each([
    { from: '"kind": "lots"', to: '"kind": "plots"', says: "expected one of balance, details" },
    { from: '"type": "transfer"', to: '"type": "gift"', says: "expected grant, spend or" },
    { from: '"amount": "5000000"', to: '"amount": "many"', says: "expected a whole number" },
  ])("refuses $to in the file with a message", ({ from, to, says }) => {
    const file: unknown = readJson(changedFixture(part, [[from, to]]));
    expect(() => parseScenarios(file)).toThrow(says);
  });

  it("refuses what is no file of scenarios with a message", async () => {
    const { code, output } = await runExample("lot-scenarios", ["--input", "package.json"]);
    expect(output).toContain("scenarios: expected a list, received undefined");
    expect(output).not.toMatch(/^\s+at /m);
    expect(code).toBe(1);
  });

  it.skipIf(!there)("passes all 39 scenarios of ../shared/data", async () => {
    const args = ["--input", whole, "--stream", freshStream("LOTS")];
    const { code, output } = await runExample("lot-scenarios", args);
    expect(passed(output)).toEqual(["emission-first@1: 39 of 39", "expiration-first@1: 39 of 39"]);
    expect(output).toMatch(/^ {2}emission-first@1 +96 +0 /m);
    expect(code).toBe(0);
  });
});
