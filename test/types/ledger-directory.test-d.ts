import { describe, expectTypeOf, it } from "vitest";
import type { EventStore } from "../../src/index.ts";
import type { KnownBucket } from "../../src/ledger/directory-buckets.ts";
import type { LedgerInfo } from "../../src/ledger/ledger-info.ts";
import { type LedgerReader, Ledgers } from "../../src/ledger/ledgers.ts";
import type { Page } from "../../src/ledger/transaction.ts";

declare const ledgers: Ledgers;
declare const info: LedgerInfo;
declare const bucket: KnownBucket;
declare const bank: EventStore<{ account: { type: "Deposited"; data: { amount: bigint } } }>;

describe("O23 there is one way to change a ledger", () => {
  it("O23 what is said of a ledger can only be read", () => {
    expectTypeOf(info).toEqualTypeOf<Readonly<LedgerInfo>>();
    // @ts-expect-error read-only
    info.bucket = "us";
    // @ts-expect-error read-only
    info.metadata = {};
    // @ts-expect-error read-only
    info.metadata["owner"] = "me";
    // @ts-expect-error read-only
    delete info.metadata["owner"];
    // @ts-expect-error read-only
    info.settings.accounts.overdraft = "unlimited";
    // @ts-expect-error read-only
    bucket.deleted = false;
  });

  it("O23 pages can only be read", async () => {
    const page = await ledgers.list();
    expectTypeOf(page).toEqualTypeOf<Page<LedgerInfo>>();
    // @ts-expect-error read-only
    page.items.push(info);
    // @ts-expect-error read-only
    page.items[0] = info;
  });

  it("O23 who is handed a reader cannot change anything", () => {
    const reader: LedgerReader = ledgers;
    expectTypeOf<keyof LedgerReader>().toEqualTypeOf<"describe" | "list" | "listBuckets">();
    expectTypeOf(reader.describe("main")).toEqualTypeOf<Promise<LedgerInfo>>();
    // @ts-expect-error not for readers
    void reader.setMetadata;
    // @ts-expect-error not for readers
    void reader.deleteBucket;
  });

  it("O23 neither directory nor cache can be reached from outside, nor can ledgers be made by hand", () => {
    // @ts-expect-error private
    void ledgers.directory;
    // @ts-expect-error private
    void ledgers.cache;
    // @ts-expect-error only `Ledgers.open` makes them
    void new Ledgers();
    expectTypeOf<Exclude<keyof Ledgers, keyof LedgerReader | symbol>>().toEqualTypeOf<
      | "following"
      | "create"
      | "open"
      | "closeLedger"
      | "setMetadata"
      | "deleteMetadata"
      | "deleteBucket"
      | "restoreBucket"
      | "close"
    >();
  });

  it("takes a store of any events, and settings that a ledger can have", () => {
    expectTypeOf(Ledgers.open(bank)).toEqualTypeOf<Promise<Ledgers>>();
    void ledgers.create("main", { bucket: "eu", settings: { accounts: { overdraft: 5n } } });
    // @ts-expect-error a ledger lives in a bucket
    void ledgers.create("main", {});
    // @ts-expect-error amounts are bigint
    void ledgers.create("main", { bucket: "eu", settings: { accounts: { overdraft: 5 } } });
    // @ts-expect-error no such policy
    void ledgers.create("main", { bucket: "eu", settings: { drainPolicy: "random" } });
  });
});
