import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  InsufficientFundsError,
  type Ledger,
  type Ledgers,
  type Transaction,
  WORLD,
} from "../../../src/ledger/index.ts";
import {
  allTransactions,
  CREDIT,
  day,
  everythingOf,
  LedgerStage,
  refusal,
  TODAY,
} from "./ledger-stage.ts";

let stage: LedgerStage;
let ledgers: Ledgers;

beforeEach(async () => {
  stage = new LedgerStage();
  ledgers = await stage.ledgers();
});

afterEach(() => stage[Symbol.asyncDispose]());

const assets = [CREDIT, "GOLD"];
const people = ["alice", "bob", "carol", "dave", "erin"];

async function openNew(name = "main"): Promise<Ledger> {
  await ledgers.create(name, { bucket: "eu" });
  return ledgers.open(name);
}

describe("a transaction that is sent twice", () => {
  const input = {
    postings: [{ source: WORLD, destination: "alice", asset: CREDIT, amount: 5n }],
  };

  it.each([
    ["idempotency key", input, { idempotencyKey: "k" }],
    ["reference", { ...input, reference: "r" }, {}],
  ] as const)(
    "L12 by one %s has the effect of once, and returns the first result marked as replayed",
    async (_, transaction, options) => {
      const ledger = await openNew();
      const first = await ledger.post(transaction, options);
      expect(first.replayed).toBe(false);
      const other = await stage.other();
      for (const writer of [ledger, other, ledger, await stage.other()])
        expect(await writer.post(transaction, options)).toEqual({ ...first, replayed: true });
      for (const reader of [ledger, other]) {
        await reader.refresh();
        expect(await reader.balance("alice", CREDIT)).toBe(5n);
        expect(reader.version).toBe(2);
      }
    },
  );

  it("L12 at the same time has the effect of once", async () => {
    const ledger = await openNew();
    const sent = [ledger, ledger, await stage.other()].map((writer) =>
      writer.post(input, { idempotencyKey: "k" }),
    );
    const results = await Promise.all(sent);
    expect(results.filter(({ replayed }) => !replayed)).toHaveLength(1);
    expect(new Set(results.map(({ id }) => id)).size).toBe(1);
    await ledger.refresh();
    expect(await ledger.balance("alice", CREDIT)).toBe(5n);
  });

  it("L12 by one key with another content is IdempotencyConflictError", async () => {
    const ledger = await openNew();
    const { id } = await ledger.post(input, { idempotencyKey: "k" });
    const more = { postings: input.postings.map((posting) => ({ ...posting, amount: 6n })) };
    for (const writer of [ledger, await stage.other()]) {
      const error = await refusal(writer.post(more, { idempotencyKey: "k" }));
      expect(error).toMatchObject({
        code: "idempotency_conflict",
        idempotencyKey: "k",
        transactionId: id,
      });
      expect(await writer.balance("alice", CREDIT)).toBe(5n);
    }
  });
});

/** What some step of a random history does, in small numbers. */
const action = fc.record({
  what: fc.constantFrom(
    ...(["grant", "grant", "spend", "transfer", "post", "hold", "capture", "release"] as const),
    ...(["revert", "overdraft", "partial", "clock", "late grant"] as const),
  ),
  who: fc.nat(people.length - 1),
  whom: fc.nat(people.length - 1),
  amount: fc.bigInt(1n, 30n),
  asset: fc.nat(1),
  expiry: fc.constantFrom(null, TODAY, TODAY + 1, TODAY + 2, TODAY + 5),
  pick: fc.nat(),
});
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

/** Runs random steps; what is refused for lack of funds and the like is part of it. */
class Player {
  readonly ledger: Ledger;
  readonly posted: string[] = [];
  readonly held: string[] = [];
  refused = 0;

  constructor(ledger: Ledger) {
    this.ledger = ledger;
  }

  async play(action: Action): Promise<void> {
    try {
      await this.#do(action);
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : undefined;
      const expected = ["insufficient_funds", "already_reverted", "hold_ended", "hold_exceeded"];
      if (![...expected, "precondition_failed"].includes(String(code))) throw error;
      this.refused++;
    }
  }

  async #do({ what, who, whom, amount, asset: of, expiry, pick }: Action): Promise<void> {
    const { ledger, posted, held } = this;
    const asset = assets[of] ?? CREDIT;
    const from = people[who] ?? "alice";
    const to = people[whom === who ? (who + 1) % people.length : whom] ?? "bob";
    const expiresAt = expiry === null ? null : day(expiry);
    const transaction = posted[pick % Math.max(1, posted.length)];
    const hold = held[pick % Math.max(1, held.length)];
    switch (what) {
      case "grant":
        posted.push((await ledger.grant({ to: from, asset, amount: 3n * amount, expiresAt })).id);
        break;
      case "late grant":
        posted.push(
          (await ledger.grant({ to: from, asset, amount, expiresAt, at: day(TODAY - 5) })).id,
        );
        break;
      case "spend":
        posted.push((await ledger.spend({ from, asset, amount })).id);
        break;
      case "partial": {
        const options = { onShortfall: "partial" } as const;
        posted.push((await ledger.spend({ from, to, asset, amount: 4n * amount }, options)).id);
        break;
      }
      case "transfer":
        posted.push(
          (await ledger.transfer({ from, asset, to: [{ account: to, amount, expiresAt }] })).id,
        );
        break;
      case "post": {
        const posting = { source: from, destination: to, asset, amount };
        const back = { source: to, destination: WORLD, asset, amount: amount + 2n };
        posted.push((await ledger.post({ postings: [posting, posting, back] })).id);
        break;
      }
      case "hold":
        held.push((await ledger.hold({ from, to, asset, amount, expiresAt: day(TODAY + 3) })).id);
        break;
      case "capture":
        if (hold !== undefined) await ledger.capture(hold, amount, { final: pick % 2 === 0 });
        break;
      case "release":
        if (hold !== undefined) await ledger.release(hold);
        break;
      case "revert":
        if (transaction !== undefined)
          await ledger.revert(transaction, {
            force: pick % 3 === 0,
            atEffectiveDate: pick % 2 === 0,
          });
        break;
      case "overdraft":
        await ledger.openAccount(from, { overdraft: amount });
        break;
      case "clock":
        stage.nowMs += 6 * 3_600_000;
        break;
      default:
    }
  }
}

type Sums = ReadonlyMap<string, bigint>;

/** What all postings of all transactions come to, by account and asset. */
function sumsOf(transactions: readonly Transaction[]): Sums {
  const sums = new Map<string, bigint>();
  for (const { postings } of transactions) {
    for (const { source, destination, asset, amount } of postings) {
      for (const [account, by] of [
        [source, -amount],
        [destination, amount],
      ] as const) {
        const key = `${account} ${asset}`;
        sums.set(key, (sums.get(key) ?? 0n) + by);
      }
    }
  }
  return sums;
}

/** Lots, spent ones left out, less debt equal the postings; debits equal credits. */
async function assertTrue(ledger: Ledger, sums: Sums): Promise<void> {
  for (const account of people) {
    for (const asset of assets) {
      const lots = await ledger.lots(account, asset, { live: true });
      for (const { remaining, amount } of lots)
        expect(remaining > 0n && remaining <= amount).toBe(true);
      const left = lots.reduce((sum, { remaining }) => sum + remaining, 0n);
      const { debt } = await ledger.details(account, asset);
      expect(debt >= 0n).toBe(true);
      expect([account, asset, left - debt]).toEqual([
        account,
        asset,
        sums.get(`${account} ${asset}`) ?? 0n,
      ]);
    }
  }
  for (const { asset, debits, credits, difference, expired } of await ledger.trialBalance()) {
    expect([asset, debits, difference]).toEqual([asset, credits, 0n]);
    expect(expired >= 0n).toBe(true);
  }
}

const history = fc.array(action, { minLength: 10, maxLength: 40 });

describe("the books", () => {
  it("L13 hold at every prefix of the journal: lots less debt are the postings, debits are credits", async () => {
    let runs = 0;
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(history, async (actions) => {
        stage.nowMs = day(TODAY).getTime();
        const player = new Player(await openNew(`run-${runs++}`));
        for (const each of actions) {
          await player.play(each);
          await assertTrue(player.ledger, sumsOf(await allTransactions(player.ledger, 1_000)));
        }
        refused += player.refused;
      }),
      { numRuns: 12 },
    );
    // a history in which everything succeeds proves little
    expect(refused).toBeGreaterThan(10);
  });

  it("L13 hold when a transaction is refused halfway", async () => {
    const ledger = await openNew();
    await ledger.grant({ to: "alice", asset: CREDIT, amount: 10n });
    const posting = { source: "alice", destination: "bob", asset: CREDIT, amount: 6n };
    const posts = Array.from({ length: 5 }, () => ledger.post({ postings: [posting, posting] }));
    for (const outcome of await Promise.allSettled(posts))
      expect(outcome).toMatchObject({ reason: expect.any(InsufficientFundsError) });
    await assertTrue(ledger, sumsOf(await allTransactions(ledger)));
  });

  it("L14 are the same built while writing, while reading on, and by replay from the start", async () => {
    let runs = 0;
    const follower = await stage.ledgers({ refreshMs: 0 });
    await fc.assert(
      fc.asyncProperty(history, fc.nat(39), async (actions, half) => {
        stage.nowMs = day(TODAY).getTime();
        const name = `run-${runs++}`;
        const player = new Player(await openNew(name));
        const reading = await follower.open(name);
        for (const [at, each] of actions.entries()) {
          await player.play(each);
          if (at === half) await reading.refresh();
        }
        await reading.refresh();
        const rebuilding = await stage.ledgers({ snapshotBucket: false });
        const written = await everythingOf(player.ledger, people, assets);
        expect(await everythingOf(reading, people, assets)).toBe(written);
        expect(await everythingOf(await rebuilding.open(name), people, assets)).toBe(written);
        await rebuilding.close();
      }),
      { numRuns: 12 },
    );
  });

  it("L14 are the same where commands were decided in groups, behind each other's backs", async () => {
    const ledger = await openNew();
    const player = new Player(ledger);
    for (const seed of [1, 2, 3]) {
      const actions = fc
        .sample(action, { numRuns: 150, seed })
        .filter(({ what }) => what !== "clock");
      await Promise.all(actions.map((each) => player.play(each)));
      const written = await everythingOf(ledger, people, assets);
      expect(await everythingOf(await stage.other(), people, assets)).toBe(written);
    }
    expect(player.refused).toBeGreaterThan(10);
  });

  it("L14 are the same where an account that nothing could be taken from is given something meanwhile", async () => {
    await openNew();
    const wire = await stage.wire();
    const ledger = await stage.other({}, { servers: wire.url });
    const held = wire.hold(({ answerTo }) => answerTo === stage.journal);
    const nothing = ledger.spend(
      { from: "alice", to: "bob", asset: CREDIT, amount: 5n },
      { onShortfall: "partial" },
    );
    await held.reached();
    // decided on top of what is not acknowledged yet
    const granted = ledger.grant({ to: "alice", asset: CREDIT, amount: 7n });
    const also = ledger.grant({ to: "bob", asset: CREDIT, amount: 8n });
    await new Promise((resolve) => setImmediate(resolve));
    held.release();
    expect((await nothing).amounts).toEqual([0n]);
    await Promise.all([granted, also]);
    expect(await ledger.balance("alice", CREDIT)).toBe(7n);
    const written = await everythingOf(ledger, people, assets);
    expect(await everythingOf(await stage.other(), people, assets)).toBe(written);
  });
});
