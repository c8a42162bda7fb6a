import { describe, expect, it } from "vitest";
import { Findings, type RawFinding } from "../../../src/projection/check-report.ts";

function finding(entry: string, more: Partial<RawFinding> = {}): RawFinding {
  return { entry, table: "t", key: entry, kind: "different", ...more };
}

describe("the findings of a check", () => {
  it("are kept up to a limit, and counted beyond it", () => {
    const findings = new Findings(2);
    for (const entry of ["a", "b", "c"]) findings.add(finding(entry));
    expect(findings.kept.map(({ key }) => key)).toEqual(["a", "b"]);
    expect(findings.count).toBe(3);
    findings.clear();
    expect([findings.count, findings.kept]).toEqual([0, []]);
  });

  it("hold one of an entry that was looked at twice, the later", () => {
    const findings = new Findings(2);
    findings.add(finding("a", { kind: "missing" }));
    findings.add(finding("a", { kind: "different" }));
    expect(findings.count).toBe(1);
    expect(findings.kept[0]?.kind).toBe("different");
  });

  it("show values as JSON, cut where they are long, and tell none from null", () => {
    const findings = new Findings(9);
    findings.add(finding("a", { expected: { n: 5n, at: new Date(0) }, found: null }));
    findings.add(finding("b", { expected: "x".repeat(9_000) }));
    const [short, long] = findings.kept;
    expect(short).toMatchObject({
      expected: { n: "5", at: "1970-01-01T00:00:00.000Z" },
      found: null,
    });
    expect(String(long?.expected)).toMatch(/^"x{4095}…$/);
    expect(long?.found).toBeUndefined();
  });

  it("say so where two values look alike in JSON", () => {
    const findings = new Findings(9);
    findings.add(finding("a", { expected: 5n, found: "5" }));
    findings.add(finding("b", { expected: "5", found: "5", reason: "another place" }));
    expect(findings.kept.map(({ reason }) => reason)).toEqual([
      "the values have the same JSON, and other types",
      "another place",
    ]);
  });
});
