import { describe, expect, it } from "vitest";
import { InvalidArgumentError, UnserialisableValueError } from "../../../src/errors.ts";
import { DEFAULT_SETTINGS } from "../../../src/ledger/account.ts";
import { KnownBuckets } from "../../../src/ledger/directory-buckets.ts";
import {
  handOut,
  type LedgerInfo,
  ledgerInfo,
  ledgerMetadata,
  ledgerSettings,
  newLedger,
} from "../../../src/ledger/ledger-info.ts";

function infoWith(metadata: Readonly<Record<string, unknown>>): LedgerInfo {
  const { name, bucket, settings } = newLedger("main", "eu", undefined, undefined);
  return ledgerInfo({ name, bucket, settings, createdAtMs: 7, metadata: ledgerMetadata(metadata) });
}

describe("what is said of a ledger", () => {
  it("O14 is frozen throughout, and then the same for all", () => {
    const info = infoWith({ tags: ["a", { b: [1n] }] });
    expect(handOut(info)).toBe(info);
    const frozen = [info, info.metadata, info.metadata["tags"], info.settings];
    expect(frozen.every((part) => Object.isFrozen(part))).toBe(true);
    expect(Object.isFrozen(info.settings.accounts)).toBe(true);
    const [, inner] = info.metadata["tags"] as [string, { b: bigint[] }];
    expect(() => inner.b.push(2n)).toThrow(TypeError);
    expect(() => Object.assign(info, { bucket: "us" })).toThrow(TypeError);
  });

  it("O14 is the caller's alone where it holds dates or bytes, which cannot be frozen", () => {
    const metadata = { since: new Date(1), nested: { list: [Uint8Array.of(1, 2)] } };
    const info = infoWith(metadata);
    const [mine, others] = [handOut(info), handOut(info)];
    expect(mine).toEqual(info);
    (mine.metadata["since"] as Date).setTime(99);
    (mine.metadata["nested"] as typeof metadata.nested).list[0]?.fill(9);
    expect(others).toEqual(info);
    expect(info.metadata).toEqual(metadata);
    expect(handOut(handOut(info))).not.toBe(handOut(info));
  });

  it("O14 does not change with what it was made of", () => {
    const given = { tags: ["a"], since: new Date(1), note: undefined, list: [undefined] };
    const info = infoWith(given);
    given.tags.push("b");
    given.since.setTime(2);
    expect(info.metadata).toEqual({ tags: ["a"], since: new Date(1), list: [null] });
    expect(Object.keys(info.metadata)).not.toContain("note");
  });
});

describe("a new ledger", () => {
  it("has the settings that were asked for, and defaults besides", () => {
    expect(ledgerSettings(undefined)).toEqual(DEFAULT_SETTINGS);
    expect(ledgerSettings({ accounts: { overdraft: 5n }, idempotencyKeys: 10 })).toEqual({
      ...DEFAULT_SETTINGS,
      accounts: { lots: true, overdraft: 5n },
      idempotencyKeys: 10,
    });
    const unlimited = { drainPolicy: "expiration-first@1", accounts: { overdraft: "unlimited" } };
    expect(ledgerSettings(unlimited)).toMatchObject(unlimited);
  });

  it.each([
    ["settings.drainPolicy", { drainPolicy: "random" }],
    ["settings.accounts.overdraft", { accounts: { overdraft: -1n } }],
    ["settings.accounts.overdraft", { accounts: { overdraft: 1 } }],
    ["settings.accounts.lots", { accounts: { lots: "yes" } }],
    ["settings.accounts", { accounts: [] }],
    ["settings.idempotencyKeys", { idempotencyKeys: 0 }],
    ["settings.idempotencyKeys", { idempotencyKeys: 1.5 }],
    ["settings", null],
  ])("is refused with the place of what is wrong: %s in %o", (argument, settings) => {
    expect(() => ledgerSettings(settings)).toThrow(InvalidArgumentError);
    expect(() => ledgerSettings(settings)).toThrow(`${argument}: expected`);
  });

  it("is refused with a name, bucket or metadata that it cannot have", () => {
    expect(() => newLedger("a b", "eu", {}, undefined)).toThrow(/^name: expected/);
    expect(() => newLedger("a", "", {}, undefined)).toThrow(/^bucket: expected/);
    for (const metadata of [null, [], "text", new Date(0)]) {
      expect(() => newLedger("a", "eu", metadata, undefined)).toThrow(InvalidArgumentError);
    }
    const hidden = { a: [() => 1] };
    expect(() => newLedger("a", "eu", hidden, undefined)).toThrow(UnserialisableValueError);
    expect(() => newLedger("a", "eu", hidden, undefined)).toThrow("metadata.a[0]");
  });
});

describe("what is known of buckets", () => {
  it("follows the later version, in whatever order they are learned", () => {
    const buckets = new KnownBuckets(10);
    const eu = buckets.keep("eu");
    expect(eu).toMatchObject({ deleted: false });
    buckets.learn("eu", { version: 4, deleted: true });
    buckets.learn("eu", { version: 3, deleted: false });
    expect(eu).toMatchObject({ version: 4, deleted: true });
    buckets.learn("eu", { version: 5, deleted: false });
    expect(eu).toMatchObject({ version: 5, deleted: false });
    buckets.forget();
    buckets.learn("eu", { version: 2, deleted: true });
    expect(eu).toMatchObject({ version: 2, deleted: true });
  });

  it("is kept for good of buckets of opened ledgers, and of so many others", () => {
    const buckets = new KnownBuckets(2);
    buckets.learn("unknown", { version: 9, deleted: true });
    expect(buckets.watch("unknown")).toMatchObject({ version: 0, deleted: false });
    const watched = buckets.watch("eu");
    buckets.learn("eu", { version: 1, deleted: true });
    expect(buckets.keep("eu")).toBe(watched);
    for (const name of ["a", "b", "c", "d"]) buckets.watch(name);
    buckets.learn("a", { version: 1, deleted: true });
    expect(buckets.watch("a").deleted).toBe(false);
    expect(buckets.watch("eu").deleted).toBe(true);
    expect(buckets.names).toEqual(["eu"]);
  });
});
