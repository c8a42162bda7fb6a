// A product that sells credits, told as a story: promotional and paid credits, spends, a transfer, a hold, a revert, an
// expiry; and what each customer's statement says in the end.
// npm run example -- credits --help
import { parseArgs } from "node:util";
import { EventStore } from "annal";
import { InsufficientFundsError, type Ledger, Ledgers } from "annal/ledger";
import { useServer } from "annal/server";
import { printStatement, type Statement, statementOf } from "./credits/statement.ts";
import { type Claim, holds, printClaims } from "./lib/proof.ts";
import { printServerProgress } from "./lib/server-progress.ts";
import { formatCount } from "./lib/table.ts";

const HELP = `
A product that sells credits, told as a story: promotional and paid credits, spends, a transfer, a hold, a revert, an
expiry; and what each customer's statement says in the end.

  npm run example -- credits [options]

  --stream NAME          stream to write to; the story is told once a stream (a new one)
  --help

With NATS_URL it uses that server and leaves the stream there; else it starts a server and removes it at the end.
`;

const asset = "CREDIT";
const alice = "customers:alice";
const bob = "customers:bob";
/** Grants what it does not have. */
const promotions = "promotions";
/** A plain sum: nobody asks a company's turnover when it expires. */
const turnover = "company:turnover";
const promoEnds = new Date("2026-02-01T00:00:00Z");
const paidEnds = new Date("2027-01-10T00:00:00Z");
const statementsAt = new Date("2026-02-15T00:00:00Z");

function tell(at: Date, text: string): void {
  console.log(`  ${at.toISOString().slice(0, 10)}  ${text}`);
}

function claim(text: string, isSo: boolean, found: unknown): Claim {
  return { text, violations: isSo ? [] : [`found ${String(found)}`] };
}

async function grantsAndSpends(ledger: Ledger): Promise<Claim[]> {
  await ledger.openAccount(promotions, { issuer: true });
  await ledger.openAccount(turnover, { lots: false });

  const signedUp = new Date("2026-01-05T09:00:00Z");
  await ledger.grant({
    from: promotions,
    to: alice,
    asset,
    amount: 600n,
    expiresAt: promoEnds,
    at: signedUp,
    reference: "welcome-alice",
    metadata: { text: "Welcome" },
  });
  tell(signedUp, "Alice signs up: 600 credits for free, until 1 February");

  const bought = new Date("2026-01-10T14:30:00Z");
  const purchase = {
    to: alice,
    asset,
    amount: 2_000n,
    expiresAt: paidEnds,
    at: bought,
    reference: "invoice-1001",
    metadata: { text: "Purchase" },
  };
  const first = await ledger.grant(purchase, { idempotencyKey: "payment-77" });
  // The payment provider tells of the same payment twice; the second time changes nothing.
  const second = await ledger.grant(purchase, { idempotencyKey: "payment-77" });
  tell(bought, "She buys 2,000 more for a year; the payment is reported twice");

  const rendered = new Date("2026-01-12T11:00:00Z");
  await ledger.spend({
    from: alice,
    to: turnover,
    asset,
    amount: 120n,
    at: rendered,
    reference: "render-1",
    metadata: { text: "Rendering" },
  });
  tell(rendered, "A rendering costs 120: the oldest credits go first");

  const shared = new Date("2026-01-15T16:00:00Z");
  await ledger.transfer({
    from: alice,
    asset,
    to: [{ account: bob, amount: 300n }],
    at: shared,
    reference: "gift-1",
    metadata: { text: "Gift to Bob" },
  });
  tell(shared, "She gives 300 to Bob, without an expiry of his own");
  const [gift] = await ledger.lots(bob, asset);
  const giftEnds = gift?.expiresAt?.toISOString();
  return [
    claim(
      "the payment that was reported twice was credited once, and both reports got one answer",
      !first.replayed && second.replayed && first.id === second.id,
      `${first.id} and ${second.id}`,
    ),
    claim(
      "Bob's gift expires when the credits that it is made of do",
      giftEnds === promoEnds.toISOString(),
      giftEnds,
    ),
  ];
}

async function holdAndRevert(ledger: Ledger): Promise<Claim[]> {
  const started = new Date("2026-01-20T08:00:00Z");
  // Lots follow the story's dates; a hold ends by the clock, so that nobody can date its end back.
  const hold = await ledger.hold({
    from: alice,
    to: turnover,
    asset,
    amount: 250n,
    at: started,
    expiresAt: new Date(Date.now() + 3_600_000),
    reference: "film-1",
  });
  const whileHeld = await ledger.available(alice, asset, { at: started });
  tell(started, "A long film begins: 250 are held for it, for an hour at most");
  const finished = new Date("2026-01-20T08:40:00Z");
  await ledger.capture(hold.id, 100n, {
    at: finished,
    reference: "film-1-price",
    metadata: { text: "Film" },
  });
  const afterwards = await ledger.available(alice, asset, { at: finished });
  tell(finished, "It took less than feared: 100 are captured, the rest is free again");

  const broken = new Date("2026-01-22T10:00:00Z");
  const charged = await ledger.spend({
    from: alice,
    to: turnover,
    asset,
    amount: 30n,
    at: broken,
    reference: "render-2",
    metadata: { text: "Rendering" },
  });
  const reverted = await ledger.revert(charged.id, {
    atEffectiveDate: true,
    reference: "render-2-refund",
    metadata: { text: "Refund" },
  });
  tell(broken, "A rendering for 30 fails and is reverted: the credits keep their expiry");
  const original = await ledger.transaction(charged.id);

  const tried = new Date("2026-01-25T18:00:00Z");
  const refused = await ledger
    .spend({ from: bob, to: turnover, asset, amount: 400n, at: tried })
    .catch((error: unknown) => error);
  tell(tried, "Bob wants to spend 400 and has 300: refused");
  return [
    claim("what is held cannot be spent: 1,930 of 2,180", whileHeld === 1_930n, whileHeld),
    claim("what was not captured is free again: 2,080", afterwards === 2_080n, afterwards),
    claim(
      "the failed rendering knows what reverted it",
      original?.revertedBy === reverted.id,
      original?.revertedBy,
    ),
    claim(
      "Bob's refusal says what he needed and what he had",
      refused instanceof InsufficientFundsError &&
        refused.needed === 400n &&
        refused.available === 300n,
      refused,
    ),
  ];
}

async function expiry(ledger: Ledger): Promise<Claim[]> {
  const { version } = ledger;
  const before = await ledger.balance(alice, asset, { at: new Date(promoEnds.getTime() - 1) });
  const after = await ledger.balance(alice, asset, { at: promoEnds });
  const ofBob = await ledger.balance(bob, asset, { at: promoEnds });
  const written = ledger.version - version;
  tell(promoEnds, `The free credits expire: Alice has ${formatCount(Number(after))}, Bob ${ofBob}`);

  const rendered = new Date("2026-02-03T12:00:00Z");
  await ledger.spend({
    from: alice,
    to: turnover,
    asset,
    amount: 250n,
    at: rendered,
    reference: "render-3",
    metadata: { text: "Rendering" },
  });
  tell(rendered, "A rendering costs 250, from the credits that she bought");
  return [
    claim(
      "expiry is seen by reading a millisecond later: 2,080, then 2,000",
      before === 2_080n && after === 2_000n,
      `${before}, then ${after}`,
    ),
    claim("nothing was written for it", written === 0, `${written} entries`),
  ];
}

async function finalClaims(ledger: Ledger, statements: readonly Statement[]): Promise<Claim[]> {
  const expected = new Map([
    [alice, 1_750n],
    [bob, 0n],
  ]);
  const earned = await ledger.balance(turnover, asset, { at: statementsAt });
  const rows = await ledger.trialBalance({ at: statementsAt });
  const beforeTheRefund = await ledger.balanceAsOf(alice, asset, {
    effectiveBefore: new Date("2026-01-21T00:00:00Z"),
  });
  return [
    ...statements.map(({ account, closing, balance }) =>
      claim(
        `the statement of ${account} adds up to its balance, ${formatCount(Number(balance))}`,
        balance === expected.get(account) && closing === balance,
        `${closing} and ${balance}`,
      ),
    ),
    claim(
      "what Alice had on 20 January can still be asked for: 2,080",
      beforeTheRefund === 2_080n,
      beforeTheRefund,
    ),
    claim("the company has earned 470", earned === 470n, earned),
    claim(
      "the books balance",
      rows.length === 1 && rows[0]?.difference === 0n,
      rows.map(({ difference }) => difference).join(),
    ),
  ];
}

async function main(given: string | undefined): Promise<boolean> {
  await using server = await useServer({ onProgress: printServerProgress() });
  const stream = given ?? `CREDITS_${Date.now()}`;
  await using store = await EventStore.connect({ servers: server.url, stream });
  await using ledgers = await Ledgers.open(store);
  await ledgers.create("credits", { bucket: "eu", metadata: { product: "renderings" } });
  const ledger = await ledgers.open("credits");

  console.log("");
  const claims = [
    ...(await grantsAndSpends(ledger)),
    ...(await holdAndRevert(ledger)),
    ...(await expiry(ledger)),
  ];
  const statements: Statement[] = [];
  for (const account of [alice, bob])
    statements.push(await statementOf(ledger, account, asset, statementsAt));
  for (const statement of statements) printStatement(statement);
  claims.push(...(await finalClaims(ledger, statements)));
  console.log("");
  printClaims(claims);
  if (!server.started) console.log(`\nThe stream ${stream} is left on ${server.url}.`);
  return holds(claims);
}

try {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({ options: { stream: text, help: { ...flag, short: "h" } } });
  if (values.help) console.log(HELP.trim());
  else if (!(await main(values.stream))) process.exitCode = 1;
} catch (error) {
  console.error(`\n${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
