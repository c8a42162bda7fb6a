import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DRAIN_POLICIES, type Ledger, type Ledgers } from "../../../src/ledger/index.ts";
import { LedgerStage } from "./ledger-stage.ts";

/** The parts of ../shared/data/lot-scenarios.json; its `meta` says what they mean. */
interface Scenario {
  readonly name: string;
  readonly events: readonly ScenarioEvent[];
  readonly queries: readonly Query[];
}

interface ScenarioEvent {
  readonly type: "grant" | "spend" | "transfer";
  readonly reference: string;
  readonly at: string;
  readonly items: readonly Item[];
  readonly sender?: string;
  readonly issuers?: readonly string[];
}

interface Item {
  readonly account: string;
  readonly amount: string;
  readonly expiresAt?: string | null;
}

interface Query {
  readonly kind: "balance" | "details" | "lots" | "validateTransfer" | "list" | "count";
  readonly account?: string;
  readonly asOf?: string;
  readonly amount?: number;
  readonly minBalance?: number;
  readonly page?: number;
  readonly pagination?: number;
  readonly expect: unknown;
  readonly expectExpirationFirst?: unknown;
}

const file = fileURLToPath(new URL("../../../../shared/data/lot-scenarios.json", import.meta.url));
const isThere = existsSync(file);
if (!isThere) console.warn(`skips the scenarios of lots: ${file} is not there`);
const scenarios: readonly Scenario[] = isThere
  ? JSON.parse(readFileSync(file, "utf8")).scenarios
  : [];

const asset = "CREDIT";
const partial = { onShortfall: "partial" } as const;
let stage: LedgerStage;
let ledgers: Ledgers;
let opened = 0;

beforeAll(async () => {
  stage = new LedgerStage();
  ledgers = await stage.ledgers();
});

afterAll(() => stage[Symbol.asyncDispose]());

async function play(ledger: Ledger, event: ScenarioEvent): Promise<void> {
  const { type, reference, items, sender = "", issuers = [] } = event;
  const at = new Date(event.at);
  if (
    type === "transfer" &&
    issuers.includes(sender) &&
    (await ledger.account(sender)) === undefined
  )
    await ledger.openAccount(sender, { issuer: true });
  const postings = items.map(({ account, amount, expiresAt }) => ({
    source: type === "spend" ? account : type === "grant" ? "world" : sender,
    destination: type === "spend" ? "world" : account,
    asset,
    amount: BigInt(amount),
    expiresAt: typeof expiresAt === "string" ? new Date(expiresAt) : null,
  }));
  try {
    await ledger.post({ reference, at, postings }, partial);
  } catch (error) {
    // an event that comes again with another content changes nothing
    if (!(error instanceof Error && "code" in error && error.code === "duplicate_reference"))
      throw error;
  }
}

async function answer(ledger: Ledger, query: Query): Promise<unknown> {
  const { kind, account = "", asOf, amount = 0, minBalance = 0, page = 1, pagination = 0 } = query;
  const at = asOf === undefined ? undefined : new Date(asOf);
  switch (kind) {
    case "balance":
      return Number(await ledger.balance(account, asset, { at }));
    case "validateTransfer":
      return (await ledger.balance(account, asset, { at })) >= BigInt(amount);
    case "details": {
      const { total, details } = await ledger.details(account, asset, { at });
      return {
        total: Number(total),
        details: details.map((of) => ({
          expiration: text(of.expiresAt),
          amount: Number(of.amount),
        })),
      };
    }
    case "lots":
      return (await ledger.lots(account, asset)).map((lot) => ({
        creditRef: lot.reference,
        creditIndex: lot.index,
        remaining: Number(lot.remaining),
        expiration: text(lot.expiresAt),
        grantedAt: text(lot.grantedAt),
      }));
    case "count":
      return ledger.count({ asset, at, min: BigInt(minBalance) });
    case "list": {
      const limit = pagination === 0 ? 10_000 : pagination;
      const paged = { asset, at, min: BigInt(minBalance), limit };
      let found = await ledger.balances(paged);
      for (let number = 1; number < page; number++) {
        if (found.cursor === undefined) return [];
        found = await ledger.balances({ ...paged, after: found.cursor });
      }
      return found.items.map((item) => [item.account, Number(item.balance)]);
    }
    default:
      return kind satisfies never;
  }
}

function text(instant: Date | null): string | null {
  return instant === null ? null : instant.toISOString().replace(".000Z", "Z");
}

describe.skipIf(!isThere).each(DRAIN_POLICIES)(
  "the scenarios of lots, drained %s",
  (drainPolicy) => {
    it.each(scenarios.map((scenario) => [scenario.name, scenario] as const))(
      "L1 to L18 come out as computed elsewhere: %s",
      async (_, { events, queries }) => {
        const name = `scenario-${opened++}`;
        await ledgers.create(name, { bucket: "scenarios", settings: { drainPolicy } });
        const ledger = await ledgers.open(name);
        for (const event of events) await play(ledger, event);
        const rebuilding = await stage.ledgers({ snapshotBucket: false });
        for (const reader of [ledger, await rebuilding.open(name)]) {
          for (const [at, query] of queries.entries()) {
            const { expect: byDefault, expectExpirationFirst = byDefault } = query;
            const expected = drainPolicy === "emission-first@1" ? byDefault : expectExpirationFirst;
            expect([at, query.kind, await answer(reader, query)]).toEqual([
              at,
              query.kind,
              expected,
            ]);
          }
        }
        await rebuilding.close();
        expect(queries.length).toBeGreaterThan(0);
      },
    );
  },
);
