import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Ledger } from "../../../src/ledger/index.ts";
import { CREDIT, LedgerStage } from "./ledger-stage.ts";
import {
  accounts,
  assertRefused,
  assets,
  type Field,
  field,
  ids,
  instants,
  place,
  rules,
  withoutUndefined,
} from "./ledger-stage-validation.ts";

/*
 * What is asked of a ledger: one serves all tests.
 */

let stage: LedgerStage;
let ledger: Ledger;

beforeAll(async () => {
  ({ stage, ledger } = await LedgerStage.create());
  await ledger.grant({ to: "alice", asset, amount: 100n });
});

afterAll(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;

const reads: readonly Field[] = [
  field("balance", "account", rules.account, accounts, (account) => ledger.balance(account, asset)),
  field("balance", "asset", rules.asset, assets, (of) => ledger.balance("alice", of)),
  field("balance", "at", rules.instant, [...instants, null], (at) =>
    ledger.balance("alice", asset, { at }),
  ),
  field("available", "account", rules.account, accounts, (account) =>
    ledger.available(account, asset),
  ),
  field("details", "account", rules.account, accounts, (account) => ledger.details(account, asset)),
  field("lots", "account", rules.account, accounts, (account) => ledger.lots(account, asset)),
  field("lots", "asset", rules.asset, assets, (of) => ledger.lots("alice", of)),
  field("holds", "account", rules.account, accounts, (account) => ledger.holds(account)),
  field("account", "account", rules.account, accounts, (account) => ledger.account(account)),
  field("balances", "asset", rules.asset, assets, (of) => ledger.balances({ asset: of })),
  field("balances", "prefix", /a text/, [5, null], (prefix) => ledger.balances({ asset, prefix })),
  field("balances", "min", rules.bigint, [5, "5", null], (min) => ledger.balances({ asset, min })),
  field("balances", "after", rules.account, withoutUndefined(accounts), (after) =>
    ledger.balances({ asset, after }),
  ),
  field("balances", "limit", /./, [0, -1, 1.5, 10_001, "5", null], (limit) =>
    ledger.balances({ asset, limit }),
  ),
  field("count", "asset", rules.asset, assets, (of) => ledger.count({ asset: of })),
  field("transaction", "id", place, ids, (id) => ledger.transaction(id)),
  field("transactions", "account", rules.account, withoutUndefined(accounts), (account) =>
    ledger.transactions({ account }),
  ),
  field("transactions", "from", rules.instant, [...instants, null], (from) =>
    ledger.transactions({ from }),
  ),
  field("transactions", "to", rules.instant, [...instants, null], (to) =>
    ledger.transactions({ to }),
  ),
  field("transactions", "after", place, withoutUndefined(ids), (after) =>
    ledger.transactions({ after }),
  ),
  field("transactions", "limit", /./, [0, -1, 1.5, 1_001, "5", null], (limit) =>
    ledger.transactions({ limit }),
  ),
  field("balanceAsOf", "account", rules.account, accounts, (account) =>
    ledger.balanceAsOf(account, asset, { position: 1 }),
  ),
  field("balanceAsOf", "asset", rules.asset, assets, (of) =>
    ledger.balanceAsOf("alice", of, { position: 1 }),
  ),
  field("balanceAsOf", "position", /./, [-1, 1.5, "5", null], (position) =>
    ledger.balanceAsOf("alice", asset, { position }),
  ),
  field("balanceAsOf", "at", rules.instant, [...instants, null], (at) =>
    ledger.balanceAsOf("alice", asset, { position: 1, at }),
  ),
  field(
    "balanceAsOf",
    "effectiveBefore",
    rules.instant,
    [...instants, null, undefined],
    (effectiveBefore) => ledger.balanceAsOf("alice", asset, { effectiveBefore }),
  ),
];

describe("what is asked", () => {
  it.each(reads.map((each) => [each.of, each.argument, each] as const))(
    "%s names %s, the rule and the value",
    async (_of, _argument, each) => {
      const before = ledger.version;
      await assertRefused(each);
      await ledger.refresh();
      expect(ledger.version).toBe(before);
    },
  );
});
