import { describe, expect, it } from "vitest";
import { drainOrder } from "../../../src/ledger/drain-order.ts";
import type { Grant } from "../../../src/ledger/lot-list.ts";

const grant: Grant = {
  version: 7,
  lotIndex: 3,
  grantedAt: 1_000,
  expiresAt: 5_000,
  reference: "m",
  amount: 1n,
  commit: { position: 1, firstVersion: 7 },
};

describe("emission-first@1", () => {
  const order = drainOrder("emission-first@1");

  it.each<[string, Partial<Grant>]>([
    ["an earlier grant, whatever follows", { grantedAt: 999, reference: "z", version: 8 }],
    ["no reference before any", { reference: "", version: 8 }],
    ["references by code unit: upper case first", { reference: "Z", version: 8 }],
    ["a lower journal number, compared as a number", { version: 6, lotIndex: 10 }],
    ["a lower index, compared as a number", { lotIndex: 2 }],
  ])("L3 drains first: %s", (_, change) => {
    expect(order({ ...grant, ...change }, grant)).toBeLessThan(0);
    expect(order(grant, { ...grant, ...change })).toBeGreaterThan(0);
  });

  it("L3 compares references by code unit, not by code point or locale", () => {
    const surrogates = { ...grant, reference: "\u{1F600}" };
    const beyond = { ...grant, reference: "\uFFFD", version: 1 };
    expect(order(surrogates, beyond)).toBeLessThan(0);
    const accented = { ...grant, reference: "é", version: 1 };
    expect(order({ ...grant, reference: "z" }, accented)).toBeLessThan(0);
  });

  it("L3 compares numbers of more than one digit as numbers", () => {
    expect(order({ ...grant, version: 9 }, { ...grant, version: 10 })).toBeLessThan(0);
    expect(order({ ...grant, lotIndex: 9 }, { ...grant, lotIndex: 10 })).toBeLessThan(0);
  });

  it("does not look at the expiry", () => {
    expect(
      order({ ...grant, expiresAt: null }, { ...grant, expiresAt: 1, version: 8 }),
    ).toBeLessThan(0);
    expect(order(grant, { ...grant, expiresAt: null })).toBe(0);
  });
});

describe("expiration-first@1", () => {
  const order = drainOrder("expiration-first@1");

  it.each<[string, Partial<Grant>]>([
    ["an earlier expiry, whatever follows", { expiresAt: 4_999, grantedAt: 2_000, reference: "z" }],
    ["of equal expiry the earlier grant", { grantedAt: 999, reference: "z" }],
    ["of equal expiry and grant the lower reference", { reference: "a", version: 8 }],
    ["of equal reference too, the lower journal number", { version: 6 }],
    ["of equal journal number too, the lower index", { lotIndex: 2 }],
  ])("L3 drains first: %s", (_, change) => {
    expect(order({ ...grant, ...change }, grant)).toBeLessThan(0);
    expect(order(grant, { ...grant, ...change })).toBeGreaterThan(0);
  });

  it("L3 drains what never expires last, in the order of emission", () => {
    const never = { ...grant, expiresAt: null, grantedAt: 0 };
    expect(order(grant, never)).toBeLessThan(0);
    expect(order(never, grant)).toBeGreaterThan(0);
    expect(order(never, { ...never, grantedAt: 1 })).toBeLessThan(0);
    expect(order(never, never)).toBe(0);
  });
});
