import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Ledger } from "../../../src/ledger/index.ts";
import { CREDIT, day, LedgerStage, refusal } from "./ledger-stage.ts";
import {
  accounts,
  amounts,
  assertRefused,
  assets,
  type Field,
  field,
  flags,
  ids,
  instants,
  lists,
  maps,
  objects,
  place,
  references,
  rules,
  withoutUndefined,
} from "./ledger-stage-validation.ts";

/*
 * Nothing of this reaches the journal: one ledger serves all tests, and its version says so.
 */

let stage: LedgerStage;
let ledger: Ledger;
let holdId: string;
let transactionId: string;

beforeAll(async () => {
  ({ stage, ledger } = await LedgerStage.create());
  ({ id: transactionId } = await ledger.grant({ to: "alice", asset, amount: 100n }));
  ({ id: holdId } = await ledger.hold({ from: "alice", asset, amount: 10n, expiresAt: day(200) }));
});

afterAll(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;

const posting = { source: "world", destination: "bob", asset, amount: 1n };
const post = (more: object) => ledger.post({ postings: [{ ...posting, ...more }] });
const grant = (more: object) => ledger.grant({ to: "bob", asset, amount: 1n, ...more });
const spend = (more: object) => ledger.spend({ from: "alice", asset, amount: 1n, ...more });
const transfer = (more: object) =>
  ledger.transfer({ from: "alice", asset, to: [{ account: "bob", amount: 1n }], ...more });
const pay = (more: object) =>
  transfer({
    to: [
      { account: "carol", amount: 1n },
      { account: "bob", amount: 1n, ...more },
    ],
  });
const hold = (more: object) =>
  ledger.hold({ from: "alice", asset, amount: 1n, expiresAt: day(200), ...more });
const many = (more: object, options = {}) =>
  ledger.postMany([{ postings: [posting] }, { postings: [posting], ...more }], options);
const fields: readonly Field[] = [
  field("post", "transaction", rules.object, objects, (value) => ledger.post(value)),
  field("post", "postings", /a list of at least one posting/, lists, (postings) =>
    ledger.post({ postings }),
  ),
  field("post", "postings[0]", /a posting/, objects, (value) => ledger.post({ postings: [value] })),
  field("post", "postings[0].source", rules.account, accounts, (source) => post({ source })),
  field("post", "postings[0].destination", rules.account, accounts, (destination) =>
    post({ destination }),
  ),
  field("post", "postings[0].asset", rules.asset, assets, (of) => post({ asset: of })),
  field("post", "postings[0].amount", rules.amount, amounts, (amount) => post({ amount })),
  field("post", "postings[0].expiresAt", rules.instant, instants, (expiresAt) =>
    post({ expiresAt }),
  ),
  field("grant", "grant", rules.object, objects, (value) => ledger.grant(value)),
  field("grant", "to", rules.account, accounts, (to) => grant({ to })),
  field("grant", "from", rules.account, withoutUndefined(accounts), (from) => grant({ from })),
  field("grant", "asset", rules.asset, assets, (of) => grant({ asset: of })),
  field("grant", "amount", rules.amount, amounts, (amount) => grant({ amount })),
  field("grant", "expiresAt", rules.instant, instants, (expiresAt) => grant({ expiresAt })),
  field("grant", "at", rules.instant, [...instants, null], (at) => grant({ at })),
  field("grant", "reference", rules.reference, references, (reference) => grant({ reference })),
  field("grant", "metadata", rules.map, maps, (metadata) => grant({ metadata })),
  field("spend", "spend", rules.object, objects, (value) => ledger.spend(value)),
  field("spend", "from", rules.account, accounts, (from) => spend({ from })),
  field("spend", "to", rules.account, withoutUndefined(accounts), (to) => spend({ to })),
  field("spend", "asset", rules.asset, assets, (of) => spend({ asset: of })),
  field("spend", "amount", rules.amount, amounts, (amount) => spend({ amount })),
  field("transfer", "transfer", rules.object, objects, (value) => ledger.transfer(value)),
  field("transfer", "from", rules.account, accounts, (from) => transfer({ from })),
  field("transfer", "asset", rules.asset, assets, (of) => transfer({ asset: of })),
  field("transfer", "to", /a list of at least one/, lists, (to) => transfer({ to })),
  field("transfer", "to[0]", rules.object, objects, (value) => transfer({ to: [value] })),
  field("transfer", "to[1].account", rules.account, accounts, (account) => pay({ account })),
  field("transfer", "to[1].amount", rules.amount, amounts, (amount) => pay({ amount })),
  field("transfer", "to[1].expiresAt", rules.instant, instants, (expiresAt) => pay({ expiresAt })),
  field("hold", "hold", rules.object, objects, (value) => ledger.hold(value)),
  field("hold", "from", rules.account, accounts, (from) => hold({ from })),
  field("hold", "to", rules.account, withoutUndefined(accounts), (to) => hold({ to })),
  field("hold", "asset", rules.asset, assets, (of) => hold({ asset: of })),
  field("hold", "amount", rules.amount, amounts, (amount) => hold({ amount })),
  field("hold", "expiresAt", rules.instant, [...instants, null, undefined], (expiresAt) =>
    hold({ expiresAt }),
  ),
  field("hold", "at", rules.instant, [...instants, null], (at) => hold({ at })),
  field("hold", "reference", rules.reference, references, (reference) => hold({ reference })),
  field("hold", "metadata", rules.map, maps, (metadata) => hold({ metadata })),
];

const balance = (more: object) => ({
  expect: { balance: { account: "alice", asset, gte: 1n, ...more } },
});
const grantWith = (options: object) => ledger.grant({ to: "bob", asset, amount: 1n }, options);
const capture = (options: object, amount?: bigint) => ledger.capture(holdId, amount, options);
const open = (change: object) => ledger.openAccount("bob", change);

const options: readonly Field[] = [
  field("options", "options", rules.object, objects, (value) =>
    ledger.post({ postings: [posting] }, value),
  ),
  field("options", "idempotencyKey", rules.reference, references, (idempotencyKey) =>
    grantWith({ idempotencyKey }),
  ),
  field("options", "dryRun", rules.flag, flags, (dryRun) => grantWith({ dryRun })),
  field("options", "timeoutMs", /./, [0, -1, 1.5, "5", null, Number.NaN], (timeoutMs) =>
    grantWith({ timeoutMs }),
  ),
  field("options", "onShortfall", /"reject" or "partial"/, ["all", 1, null, true], (onShortfall) =>
    grantWith({ onShortfall }),
  ),
  field("options", "expect", rules.object, objects, (expected) => grantWith({ expect: expected })),
  field("options", "expect.version", /a version from 0/, [-1, 1.5, "1", 1n, null], (version) =>
    grantWith({ expect: { version } }),
  ),
  field("options", "expect.balance", rules.object, objects, (of) =>
    grantWith({ expect: { balance: of } }),
  ),
  field("options", "expect.balance[0]", rules.object, objects, (of) =>
    grantWith({ expect: { balance: [of] } }),
  ),
  field("options", "expect.balance.account", rules.account, accounts, (account) =>
    grantWith(balance({ account })),
  ),
  field("options", "expect.balance.asset", rules.asset, assets, (of) =>
    grantWith(balance({ asset: of })),
  ),
  field("options", "expect.balance.gte", rules.bigint, [5, "5", null, undefined], (gte) =>
    grantWith(balance({ gte })),
  ),
  field("postMany", "items", /a list of at least one transaction/, lists, (items) =>
    ledger.postMany(items),
  ),
  field("postMany", "items[0].item", rules.object, objects, (item) => ledger.postMany([item])),
  field("postMany", "items[1].postings", /a list of at least one posting/, lists, (postings) =>
    many({ postings }),
  ),
  field("postMany", "items[1].postings[0].amount", rules.amount, amounts, (amount) =>
    many({ postings: [{ ...posting, amount }] }),
  ),
  field("postMany", "items[1].reference", rules.reference, references, (reference) =>
    many({ reference }),
  ),
  field("postMany", "items[1].idempotencyKey", rules.reference, references, (idempotencyKey) =>
    many({ idempotencyKey }),
  ),
  field("postMany", "items[1].onShortfall", /"reject" or "partial"/, ["all", null], (onShortfall) =>
    many({ onShortfall }),
  ),
  field("postMany", "atomic", rules.flag, flags, (atomic) => many({}, { atomic })),
  field("postMany", "dryRun", rules.flag, flags, (dryRun) => many({}, { dryRun })),
  field("revert", "transactionId", place, ids, (id) => ledger.revert(id)),
  field("revert", "force", rules.flag, flags, (force) => ledger.revert(transactionId, { force })),
  field("revert", "atEffectiveDate", rules.flag, flags, (atEffectiveDate) =>
    ledger.revert(transactionId, { atEffectiveDate }),
  ),
  field("revert", "reference", rules.reference, references, (reference) =>
    ledger.revert(transactionId, { reference }),
  ),
  field("revert", "metadata", rules.map, maps, (metadata) =>
    ledger.revert(transactionId, { metadata }),
  ),
  field("capture", "holdId", place, ids, (id) => ledger.capture(id)),
  field("capture", "amount", rules.amount, withoutUndefined(amounts), (amount) =>
    capture({}, amount),
  ),
  field("capture", "to", rules.account, withoutUndefined(accounts), (to) => capture({ to })),
  field("capture", "final", rules.flag, flags, (final) => capture({ final })),
  field("capture", "expiresAt", rules.instant, instants, (expiresAt) => capture({ expiresAt })),
  field("capture", "at", rules.instant, [...instants, null], (at) => capture({ at })),
  field("capture", "reference", rules.reference, references, (reference) => capture({ reference })),
  field("release", "holdId", place, ids, (id) => ledger.release(id)),
  field("openAccount", "account", rules.account, accounts, (account) =>
    ledger.openAccount(account),
  ),
  field("openAccount", "change", rules.object, objects, (change) =>
    ledger.openAccount("bob", change),
  ),
  field("openAccount", "lots", rules.flag, flags, (lots) => open({ lots })),
  field("openAccount", "issuer", rules.flag, flags, (issuer) => open({ issuer })),
  field("openAccount", "frozen", rules.flag, flags, (frozen) => open({ frozen })),
  field("openAccount", "closed", /true/, flags, (closed) => open({ closed })),
  field(
    "openAccount",
    "overdraft",
    /a bigint from 0 in minor units, or "unlimited"/,
    [-1n, 5, "none", null],
    (overdraft) => open({ overdraft }),
  ),
  field("setMetadata", "of", rules.object, objects, (of) => ledger.setMetadata(of, {})),
  field("setMetadata", "of.account", rules.account, accounts, (account) =>
    ledger.setMetadata({ account }, {}),
  ),
  field("setMetadata", "of.transaction", place, ids, (transaction) =>
    ledger.setMetadata({ transaction }, {}),
  ),
  field("setMetadata", "metadata", rules.map, [...maps, undefined], (metadata) =>
    ledger.setMetadata({ account: "bob" }, metadata),
  ),
  field("deleteMetadata", "keys", /a list of keys/, [null, 5, "a", {}], (keys) =>
    ledger.deleteMetadata({ account: "bob" }, keys),
  ),
  field("deleteMetadata", "keys", /keys of metadata/, [[5], [null], ["x".repeat(256)]], (keys) =>
    ledger.deleteMetadata({ account: "bob" }, keys),
  ),
];

describe("inputs of commands", () => {
  it.each([...fields, ...options].map((each) => [each.of, each.argument, each] as const))(
    "%s names %s, the rule and the value",
    async (_of, _argument, each) => {
      const before = ledger.version;
      await assertRefused(each);
      await ledger.refresh();
      expect(ledger.version).toBe(before);
    },
  );
});

function times<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}

describe("names", () => {
  it.each(["a", "A-1_b.c", "users:alice", "a:b:c:d", "-", "x".repeat(255), "0"])(
    "takes the account %s",
    async (to) => {
      const tried = ledger.grant({ to, asset, amount: 1n }, { dryRun: true });
      expect(await tried).toMatchObject({ amounts: [1n] });
    },
  );

  it.each(["A", "USD/2", "CREDIT", "A1B2C3D4E5F6G7H8I", "X/0", "X/99"])(
    "takes the asset %s",
    async (of) => {
      const tried = ledger.grant({ to: "bob", asset: of, amount: 1n }, { dryRun: true });
      expect(await tried).toMatchObject({ amounts: [1n] });
    },
  );

  it.each([
    [{ when: new Date(Number.NaN) }, "metadata.when"],
    [{ of: { list: [1, () => {}] } }, "metadata.of.list[1]"],
    [{ map: new Map() }, "metadata.map"],
    [{ text: "\ud800" }, "metadata.text"],
  ])("names the path of metadata that cannot be stored: %o", async (metadata, path) => {
    const error = await refusal(ledger.grant({ to: "bob", asset, amount: 1n, metadata }));
    expect(error).toMatchObject({ code: "unserialisable_value", path });
  });

  it("takes at most 1,000 postings in a transaction", async () => {
    const error = await refusal(ledger.post({ postings: times(1_001, posting) }));
    expect(error).toMatchObject({
      code: "transaction_too_large",
      size: 1_001,
      limit: 1_000,
      unit: "postings",
    });
    await ledger.openAccount("sum", { lots: false });
    const toSum = { ...posting, destination: "sum" };
    await ledger.post({ postings: times(1_000, toSum) }, { dryRun: true });
  });

  it("takes at most 900 accounts and lots, drained and made, in a transaction", async () => {
    const { stage: own, ledger: fresh } = await LedgerStage.create();
    await using _ = own;
    for (let time = 0; time < 2; time++)
      await fresh.post({ postings: times(600, { ...posting, destination: "alice" }) });
    const error = await refusal(fresh.spend({ from: "alice", asset, amount: 1_200n }));
    expect(error).toMatchObject({
      code: "transaction_too_large",
      size: 1_202,
      limit: 900,
      unit: "lots",
    });
    expect(await fresh.balance("alice", asset)).toBe(1_200n);
    await fresh.spend({ from: "alice", asset, amount: 898n });
  });
});
