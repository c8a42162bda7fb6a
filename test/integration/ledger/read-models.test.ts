import { describe, expect, it, onTestFinished } from "vitest";
import { EventStore } from "../../../src/index.ts";
import {
  balanceKey,
  type JournalEvents,
  journalEntry,
  type Ledger,
  type LedgerBalance,
  type LedgerEntry,
  type LedgerLot,
  ledgerBalances,
  lotKey,
} from "../../../src/ledger/index.ts";
import {
  check,
  defineProjection,
  kvState,
  memoryState,
  openTables,
  type ReadTable,
  startProjector,
  table,
} from "../../../src/projection/index.ts";
import { natsUrl } from "../../support/server.ts";
import { connect, type KV } from "nats";
import { filled } from "./check-stage.ts";
import { CREDIT, day, there } from "./ledger-stage.ts";

/** What a service has that knows nothing of ledgers. */
type Shop = { readonly order: { readonly type: "Placed"; readonly data: { readonly n: number } } };

async function entriesOf<Value>(of: ReadTable<Value>, prefix = ""): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for await (const { id, value } of of.entries({ prefix })) found.set(id, value);
  return found;
}

async function openKv(bucket: string): Promise<KV> {
  const nc = await connect({ servers: natsUrl() });
  onTestFinished(() => nc.close());
  return nc.jetstream().views.kv(bucket, { bindOnly: true });
}

/** Rows of balances of one asset, as the ledger itself has them. */
async function expectedBalances(ledger: Ledger, asset: string): Promise<Map<string, bigint>> {
  const { items } = await ledger.balances({ asset, limit: 1_000 });
  return new Map(
    items.map(({ account, balance }) => [balanceKey("main", account, asset), balance]),
  );
}

function expectSameLots(found: ReadonlyMap<string, unknown>, lots: readonly LedgerLot[]): void {
  const expected = lots.map((lot): [string, LedgerLot] => {
    const { ledger, account, asset } = lot;
    return [lotKey(ledger, account, asset, lot), lot];
  });
  expect(found).toEqual(new Map(expected));
}

/** Live lots of an account, as the ledger itself has them. */
async function expectedLots(ledger: Ledger, account: string): Promise<LedgerLot[]> {
  const lots = await ledger.lots(account, CREDIT, { live: true });
  return Promise.all(
    lots.map(async ({ transactionId, reference, ...lot }) => {
      const { version } = there(await ledger.transaction(transactionId));
      const of = { ledger: "main", account, asset: CREDIT, transactionId, version };
      return { ...of, reference: reference ?? null, ...lot };
    }),
  );
}

describe("the read model of balances", () => {
  it("holds in KV what the ledger has, for services whose store knows no ledgers", async () => {
    const { stage, ledger } = await filled();
    const until = { to: "alice", asset: CREDIT, amount: 9n };
    for (let n = 1; n <= 5; n++) await ledger.grant({ ...until, expiresAt: day(400 + n) });
    await ledger.spend({ from: "alice", asset: CREDIT, amount: 100n });
    await ledger.grant({ to: "deep", asset: CREDIT, amount: 15n });
    const shop = await EventStore.connect<Shop>({ servers: natsUrl(), stream: stage.stream });
    onTestFinished(() => shop.close());
    const placed = { type: "Placed", data: { n: 1 } } as const;
    await shop.append({ type: "order", id: "o" }, [placed], { expectedVersion: "none" });
    const state = kvState({ bucket: stage.stream });
    const projector = await startProjector(shop, ledgerBalances(), { state });
    await projector.caughtUp();
    const { tables } = await openTables(shop, ledgerBalances(), { state });

    for (const asset of [CREDIT, "EUR/2"]) {
      const rows = await entriesOf(tables.balances);
      const expected = await expectedBalances(ledger, asset);
      expect(expected.size).toBeGreaterThan(1);
      for (const [key, balance] of expected) expect(rows.get(key)).toMatchObject({ balance });
      const ofAsset = [...rows.keys()].filter((key) => key.endsWith(`/${asset}`));
      expect(ofAsset.sort()).toEqual([...expected.keys()].sort());
    }
    for (const account of ["alice", "bob", "carol", "deep", "sum"]) {
      const key = balanceKey("main", account, CREDIT);
      const found = await entriesOf(tables.lots, `${key}/`);
      expectSameLots(found, account === "sum" ? [] : await expectedLots(ledger, account));
      const { debt } = await ledger.details(account, CREDIT);
      expect(await tables.balances.get(key)).toMatchObject({ debt });
    }
    const holds = await entriesOf(tables.holds);
    const expectedHolds = await ledger.holds("alice");
    expect(expectedHolds).toHaveLength(1);
    expect([...holds.values()]).toEqual(expectedHolds.map((hold) => ({ ledger: "main", ...hold })));
    await projector.close();
    expect(await check(shop, ledgerBalances(), { state })).toMatchObject({ outcome: "clean" });
    const report = await ledger.check({ readModels: [{ projection: ledgerBalances(), state }] });
    expect(report).toMatchObject({ outcome: "clean", readModels: [{ outcome: "clean" }] });
  });

  it("counts what was received and paid, and by which entry last", async () => {
    const { stage, steps } = await filled();
    const store = await stage.store();
    await using projector = await startProjector(store, ledgerBalances(), {
      state: memoryState(),
    });
    await projector.caughtUp();
    const row = await projector.tables.balances.get(balanceKey("main", "bob", CREDIT));
    const expected: LedgerBalance = {
      ledger: "main",
      account: "bob",
      asset: CREDIT,
      balance: 30n,
      debt: 0n,
      received: 40n,
      paid: 10n,
      version: steps.revert.version,
    };
    expect(row).toEqual(expected);
  });

  it("C1 C6 is checked with the ledger: what was changed, deleted and added is found", async () => {
    const { stage, ledger } = await filled();
    const store = await stage.store();
    const state = kvState({ bucket: stage.stream });
    await using projector = await startProjector(store, ledgerBalances("main"), { state });
    await projector.caughtUp();
    const readModels = [{ projection: ledgerBalances("main"), state }];
    expect(await ledger.check({ readModels })).toMatchObject({ outcome: "clean" });
    const kv = await openKv(`${stage.stream}_v1`);
    const keys: string[] = [];
    for await (const key of await kv.keys()) keys.push(key);
    const of = (key: string): string => there(keys.find((each) => each.includes(key)));
    await kv.put(of("balances.main=2Falice"), Uint8Array.of(1));
    await kv.delete(of("lots.main=2Falice"));
    await kv.put("holds.main=2F1=2E0", Uint8Array.of(1));
    const report = await ledger.check({ readModels });
    expect(report).toMatchObject({ outcome: "findings", findingCount: 0 });
    const kinds = report.readModels.flatMap(({ findings }) => findings.map(({ kind }) => kind));
    expect(kinds.sort()).toEqual(["different", "injected", "missing"]);
  });

  it("of one ledger leaves others out, and its bucket is refused for another", async () => {
    const { stage, ledgers } = await filled();
    await ledgers.create("second", { bucket: "eu" });
    const second = await ledgers.open("second");
    await second.grant({ to: "alice", asset: CREDIT, amount: 1n });
    const store = await stage.store();
    const state = kvState({ bucket: stage.stream });
    const projector = await startProjector(store, ledgerBalances("second"), { state });
    await projector.caughtUp();
    const rows = await entriesOf(projector.tables.balances);
    await projector.close();
    expect([...rows.keys()].sort()).toEqual(["second/alice/CREDIT/2", "second/world/CREDIT/2"]);
    for (const other of [ledgerBalances(), ledgerBalances("main")]) {
      await expect(startProjector(store, other, { state })).rejects.toMatchObject({
        code: "projection_mismatch",
      });
    }
    expect(() => ledgerBalances("a ledger")).toThrow("ledger");
    expect(() => balanceKey("main", "a/b", CREDIT)).toThrow("account");
  });
});

describe("an entry of a journal", () => {
  it("is read from a stored event, in projections of one's own too", async () => {
    const { stage, ledger, steps } = await filled();
    const store = await stage.store();
    const read: LedgerEntry[] = [];
    for await (const event of store.readAll({ actorType: "journal" }))
      read.push(journalEntry(event));
    expect(read.map(({ version }) => version)).toEqual(read.map((_, at) => at + 1));
    expect(new Set(read.map(({ kind }) => kind))).toEqual(
      new Set([
        "opened",
        "posted",
        "hold-placed",
        "hold-released",
        "account-changed",
        "metadata-changed",
      ]),
    );
    const { revertedBy, ...transaction } = there(await ledger.transaction(steps.capture.id));
    expect(revertedBy).toBeUndefined();
    const captures = { hold: transaction.captures, amount: 7n, ended: false };
    expect(read[steps.capture.version - 1]).toEqual({
      kind: "posted",
      ledger: "main",
      ...transaction,
      captures,
    });
    expect(read[steps.hold.version - 1]).toMatchObject({
      kind: "hold-placed",
      id: steps.hold.id,
      expiresAt: day(300),
      amount: 20n,
    });
    expect(read[steps.carol.version - 1]).toMatchObject({
      of: { account: "carol" },
      set: { name: "Carol" },
    });

    const counts = defineProjection<JournalEvents>()({
      name: "counts",
      version: 1,
      events: { journal: ["TransactionPosted", "HoldPlaced"] },
      tables: { kind: table<number>() },
      keys: (event, t) => [t.kind.key(journalEntry(event).kind)],
      apply: (event, t) => {
        const { kind } = journalEntry(event);
        t.kind.put(kind, (t.kind.get(kind) ?? 0) + 1);
      },
    });
    const typed = await EventStore.connect<JournalEvents>({
      servers: natsUrl(),
      stream: stage.stream,
    });
    onTestFinished(() => typed.close());
    await using projector = await startProjector(typed, counts, { state: memoryState() });
    await projector.caughtUp();
    expect(await projector.tables.kind.get("hold-placed")).toBe(2);
    expect(await projector.tables.kind.get("posted")).toBe(
      read.filter(({ kind }) => kind === "posted").length,
    );
  });
});
