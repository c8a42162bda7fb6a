import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  DuplicateReferenceError,
  IdempotencyConflictError,
  type Ledger,
  PreconditionFailedError,
  type TransactionInput,
  WORLD,
} from "../../../src/ledger/index.ts";
import {
  CREDIT,
  day,
  everythingOf,
  LedgerStage,
  refusal,
  TODAY,
  transactionOf,
} from "./ledger-stage.ts";

let stage: LedgerStage;
let ledger: Ledger;

beforeEach(async () => {
  ({ stage, ledger } = await LedgerStage.create());
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const posting = { source: WORLD, destination: "alice", asset, amount: 5n };
const input: TransactionInput = {
  postings: [posting],
  at: day(50),
  metadata: { order: 7, tags: ["a", "b"], nested: { x: 1, y: 2 } },
};

/** Whoever may be asked: the first process, one that follows, one that starts now. */
async function everybody(): Promise<readonly Ledger[]> {
  return [ledger, await stage.other()];
}

describe("an idempotency key", () => {
  const options = { idempotencyKey: "order-7" };

  it.each([
    ["the same again", input],
    [
      "metadata in another order",
      { ...input, metadata: { tags: ["a", "b"], nested: { y: 2, x: 1 }, order: 7 } },
    ],
    ["no expiry instead of null", { ...input, postings: [{ ...posting, expiresAt: null }] }],
    [
      "what is undefined left out",
      { ...input, reference: undefined, metadata: { ...input.metadata, none: undefined } },
    ],
    ["an equal Date", { ...input, at: new Date(day(50)) }],
  ] as const)("replays equal content: %s", async (_, again) => {
    const first = await ledger.post(input, options);
    for (const writer of await everybody())
      expect(await writer.post(again, options)).toEqual({ ...first, replayed: true });
    expect(await ledger.balance("alice", asset)).toBe(5n);
  });

  it("replays a transaction however it was put: as a posting, or as a grant", async () => {
    const first = await ledger.post({ postings: [posting] }, options);
    const { source: from, destination: to, amount } = posting;
    expect(await ledger.grant({ to, asset, amount }, options)).toEqual({
      ...first,
      replayed: true,
    });
    const transfer = ledger.transfer({ from, asset, to: [{ account: to, amount }] }, options);
    expect(await transfer).toEqual({ ...first, replayed: true });
  });

  const others: readonly (readonly [string, TransactionInput])[] = [
    ["amount", { ...input, postings: [{ ...posting, amount: 6n }] }],
    ["asset", { ...input, postings: [{ ...posting, asset: "GOLD" }] }],
    ["source", { ...input, postings: [{ ...posting, source: "acme" }] }],
    ["destination", { ...input, postings: [{ ...posting, destination: "bob" }] }],
    ["expiry", { ...input, postings: [{ ...posting, expiresAt: day(200) }] }],
    ["number of postings", { ...input, postings: [posting, posting] }],
    ["time", { ...input, at: day(51) }],
    ["no time", { ...input, at: undefined }],
    ["reference", { ...input, reference: "r" }],
    ["metadata", { ...input, metadata: { ...input.metadata, order: 8 } }],
    ["type in the metadata", { ...input, metadata: { ...input.metadata, order: 7n } }],
    ["no metadata", { ...input, metadata: undefined }],
    ["order in a list", { ...input, metadata: { ...input.metadata, tags: ["b", "a"] } }],
  ];

  it.each(others)(
    "refuses other content, naming key and transaction: another %s",
    async (_, other) => {
      const { id } = await ledger.post(input, options);
      for (const writer of await everybody()) {
        const error = await refusal(writer.post(other, options));
        expect(error).toBeInstanceOf(IdempotencyConflictError);
        expect(error).toMatchObject({ idempotencyKey: "order-7", transactionId: id });
      }
      const partial = { ...options, onShortfall: "partial" } as const;
      expect(await refusal(ledger.post(input, partial))).toBeInstanceOf(IdempotencyConflictError);
      expect(ledger.version).toBe(2);
    },
  );

  it("is not used up by a refusal, nor by a dry run", async () => {
    const spending = { from: "alice", asset, amount: 5n };
    expect(await refusal(ledger.spend(spending, options))).toMatchObject({
      code: "insufficient_funds",
    });
    expect(
      await ledger.spend({ ...spending, from: WORLD, to: "bob" }, { ...options, dryRun: true }),
    ).toMatchObject({ id: "" });
    await ledger.grant({ to: "alice", asset, amount: 5n });
    expect(await ledger.spend(spending, options)).toMatchObject({ replayed: false });
  });

  it("is one ledger's own", async () => {
    const ledgers = await stage.ledgers();
    await ledgers.create("second", { bucket: "eu" });
    const second = await ledgers.open("second");
    const [one, other] = [await ledger.post(input, options), await second.post(input, options)];
    expect([one.replayed, other.replayed]).toEqual([false, false]);
    expect(await second.balance("alice", asset)).toBe(5n);
  });

  it("replays whatever has become of the accounts since: preconditions and funds do not matter", async () => {
    await ledger.grant({ to: "alice", asset, amount: 5n });
    const spending = { from: "alice", asset, amount: 5n };
    const first = await ledger.spend(spending, options);
    await ledger.openAccount("alice", { frozen: true });
    const again = ledger.spend(spending, { ...options, expect: { version: 1 } });
    expect(await again).toEqual({ ...first, replayed: true });
  });

  it("is told with its transaction", async () => {
    const result = await ledger.post({ ...input, reference: "r" }, options);
    for (const reader of await everybody())
      expect(await transactionOf(reader, result)).toMatchObject({
        idempotencyKey: "order-7",
        reference: "r",
      });
  });

  it("is told apart from others that look alike", async () => {
    const keys = [
      "a",
      "A",
      "a ",
      "\u00e9",
      "e\u0301",
      "\u{1f600}",
      "x".repeat(255),
      "x".repeat(254),
      "constructor",
      "__proto__",
    ];
    for (const idempotencyKey of keys)
      expect(await ledger.post(input, { idempotencyKey })).toMatchObject({ replayed: false });
    for (const writer of await everybody())
      for (const idempotencyKey of keys)
        expect(await writer.post(input, { idempotencyKey })).toMatchObject({ replayed: true });
    expect(await ledger.balance("alice", asset)).toBe(BigInt(keys.length) * 5n);
  });

  it("is remembered for as many commands as the ledger was created to", async () => {
    const created = await LedgerStage.create({ idempotencyKeys: 1_000 });
    await using small = created.stage;
    const keys = Array.from({ length: 1_000 }, (_, at) => `k${at}`);
    const send = (writer: Ledger) =>
      writer.postMany(keys.map((idempotencyKey) => ({ postings: [posting], idempotencyKey })));
    await send(created.ledger);
    for (const writer of [created.ledger, await small.other()])
      for (const outcome of await send(writer))
        expect(outcome).toMatchObject({ result: { replayed: true } });
    expect(created.ledger.version).toBe(1_001);
  });
});

describe("a reference", () => {
  it("is unique in its ledger: replayed with equal content, refused with other", async () => {
    const first = await ledger.post({ ...input, reference: "r" });
    for (const writer of await everybody()) {
      const again = writer.post({ ...input, reference: "r" }, { idempotencyKey: "new" });
      expect(await again).toEqual({ ...first, replayed: true });
      const error = await refusal(writer.post({ postings: [posting], reference: "r" }));
      expect(error).toBeInstanceOf(DuplicateReferenceError);
      expect(error).toMatchObject({
        code: "duplicate_reference",
        reference: "r",
        transactionId: first.id,
      });
    }
    expect(await ledger.balance("alice", asset)).toBe(5n);
  });

  it("is compared only after the key", async () => {
    await ledger.post({ ...input, reference: "r" }, { idempotencyKey: "k" });
    const other = { postings: [posting], reference: "r" };
    const error = await refusal(ledger.post(other, { idempotencyKey: "k" }));
    expect(error).toMatchObject({ code: "idempotency_conflict" });
  });

  it("is taken by one of two that race for it", async () => {
    const other = await stage.other();
    const sent = [1n, 2n].flatMap((amount) =>
      [ledger, other].map((writer) =>
        writer.post({ postings: [{ ...posting, amount }], reference: "r" }),
      ),
    );
    const outcomes = await Promise.allSettled(sent);
    const ids = outcomes.flatMap((of) => (of.status === "fulfilled" ? [of.value.id] : []));
    expect(new Set(ids).size).toBe(1);
    expect(ids).toHaveLength(2);
    for (const of of outcomes)
      if (of.status === "rejected") expect(of.reason).toBeInstanceOf(DuplicateReferenceError);
  });
});

describe("a precondition", () => {
  beforeEach(async () => {
    await ledger.grant({ to: "alice", asset, amount: 10n });
  });

  const spending = { from: "alice", asset, amount: 1n };
  const gte = (amount: bigint, account = "alice") => ({ account, asset, gte: amount });

  it("on the ledger's version holds for exactly that one", async () => {
    for (const version of [0, 1, 3, 1_000]) {
      const error = await refusal(ledger.spend(spending, { expect: { version } }));
      expect(error).toBeInstanceOf(PreconditionFailedError);
      expect(error).toMatchObject({
        code: "precondition_failed",
        message: expect.stringMatching(String(version)),
      });
    }
    const { version } = await ledger.spend(spending, { expect: { version: 2 } });
    expect(version).toBe(3);
    await ledger.spend(spending, { expect: { version } });
  });

  it("on the ledger's version lets one of many through, of one process or two", async () => {
    const other = await stage.other();
    const sent = [ledger, ledger, other, other].map((writer) =>
      writer.spend(spending, { expect: { version: 2 } }),
    );
    const outcomes = await Promise.allSettled(sent);
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    for (const of of outcomes)
      if (of.status === "rejected") expect(of.reason).toBeInstanceOf(PreconditionFailedError);
    expect(await ledger.balance("alice", asset, { fresh: true })).toBe(9n);
  });

  it("on balances holds where each is at least so much", async () => {
    const before = await everythingOf(ledger, ["alice"]);
    for (const balance of [
      gte(11n),
      gte(1n, "bob"),
      { ...gte(1n), asset: "GOLD" },
      [gte(10n), gte(11n)],
      [gte(10n), gte(-9n, WORLD)],
    ]) {
      const error = await refusal(ledger.spend(spending, { expect: { balance } }));
      expect(error).toBeInstanceOf(PreconditionFailedError);
    }
    expect(await everythingOf(ledger, ["alice"])).toBe(before);
    const holds = [[], gte(10n), gte(-5n), [gte(9n), gte(0n, "bob"), gte(-10n, WORLD)]];
    for (const balance of holds)
      await ledger.spend(spending, { expect: { balance }, dryRun: true });
  });

  it("on balances counts unexpired lots at the transaction's own time, and not what is held", async () => {
    await ledger.grant({ to: "alice", asset, amount: 5n, at: day(20), expiresAt: day(50) });
    await ledger.hold({ from: "alice", asset, amount: 8n, expiresAt: day(TODAY + 9) });
    const expected = { expect: { balance: gte(15n) }, dryRun: true };
    expect(await refusal(ledger.spend(spending, expected))).toMatchObject({
      code: "precondition_failed",
    });
    await ledger.spend({ ...spending, at: day(49) }, expected).catch((error: unknown) => {
      // the lot of 10 was granted later; what counts here is that the precondition held
      expect(error).not.toBeInstanceOf(PreconditionFailedError);
    });
    await ledger.spend(spending, { expect: { balance: gte(10n) } });
  });

  it("names what was expected, of whom, and what was found", async () => {
    const error = await refusal(ledger.spend(spending, { expect: { balance: gte(11n) } }));
    expect(String(error)).toMatch(/alice.*CREDIT\/2.*at least 11.*found 10/);
  });
});

describe("a dry run", () => {
  it("says what would come of it, and changes nothing", async () => {
    await ledger.grant({ to: "alice", asset, amount: 10n });
    const before = await everythingOf(ledger, ["alice", "bob"]);
    const dry = { dryRun: true } as const;
    const result = await ledger.spend({ from: "alice", to: "bob", asset, amount: 4n }, dry);
    expect(result).toEqual({
      id: "",
      position: 0,
      index: 0,
      version: 3,
      decidedAt: new Date(stage.nowMs),
      replayed: false,
      amounts: [4n],
    });
    expect(await refusal(ledger.spend({ from: "alice", asset, amount: 11n }, dry))).toMatchObject({
      code: "insufficient_funds",
      available: 10n,
    });
    expect(await everythingOf(ledger, ["alice", "bob"])).toBe(before);
    expect(await (await stage.other()).account("bob")).toBeUndefined();
  });

  it("is decided on what the server has, not on what this process knows", async () => {
    const other = await stage.other({ refreshMs: 0 });
    await ledger.grant({ to: "alice", asset, amount: 10n });
    const spending = { from: "alice", asset, amount: 10n };
    expect(await other.spend(spending, { dryRun: true })).toMatchObject({ amounts: [10n] });
    await ledger.spend(spending);
    expect(await refusal(other.spend(spending, { dryRun: true }))).toMatchObject({ available: 0n });
  });
});
