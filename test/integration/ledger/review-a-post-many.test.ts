import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Ledger, PostManyItem } from "../../../src/ledger/index.ts";
import { answerTo, type Wire } from "../../support/wire.ts";
import { CREDIT, LedgerStage } from "./ledger-stage.ts";

let stage: LedgerStage;
let wire: Wire;
let ledger: Ledger;

beforeEach(async () => {
  stage = new LedgerStage();
  wire = await stage.wire();
  const ledgers = await stage.ledgers({ commandTimeoutMs: 2_000 }, { servers: wire.url });
  await ledgers.create("main", { bucket: "eu" });
  ledger = await ledgers.open("main");
  await ledger.grant({ to: "alice", asset: CREDIT, amount: 10n });
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const items: readonly PostManyItem[] = [
  { postings: [{ source: "alice", destination: "bob", asset, amount: 4n }], idempotencyKey: "a" },
  { postings: [{ source: "alice", destination: "bob", asset, amount: 3n }], idempotencyKey: "b" },
];

/** Bob has what was posted, and repeating it posts nothing again. */
async function expectPosted(): Promise<void> {
  expect(await ledger.postMany(items)).toMatchObject([
    { status: "posted", result: { replayed: true } },
    { status: "posted", result: { replayed: true } },
  ]);
  expect(await ledger.balance("bob", asset)).toBe(7n);
}

describe("postMany whose answer does not come", () => {
  it("F1 says that the outcome is unknown, not that it was refused, where the time is over", async () => {
    const held = wire.hold(answerTo(stage.journal));
    const outcomes = await ledger.postMany(items, { timeoutMs: 50 });
    // the command's timer and the append's deadline end together: either may be told first
    const code = expect.stringMatching(/^(command_timeout|append_outcome_unknown)$/);
    const unknown = { status: "unknown", error: { code } };
    expect(outcomes).toMatchObject([unknown, unknown]);
    held.release();
    await expectPosted();
  });

  it("F1 says the same where no ack comes at all", async () => {
    const held = wire.hold(answerTo(stage.journal));
    const looks = wire.hold(answerTo(/DIRECT\.GET|MSG\.GET/));
    const outcomes = await ledger.postMany(items);
    const unknown = { status: "unknown", error: { code: "append_outcome_unknown" } };
    expect(outcomes).toMatchObject([unknown, unknown]);
    held.release();
    looks.release();
    await expectPosted();
  });

  it("F1 says the same where the caller gives up", async () => {
    const held = wire.hold(answerTo(stage.journal));
    const controller = new AbortController();
    const posting = ledger.postMany(items, { signal: controller.signal });
    await held.reached();
    const error = new Error("given up");
    controller.abort(error);
    expect(await posting).toEqual([
      { status: "unknown", error },
      { status: "unknown", error },
    ]);
    held.release();
    await expectPosted();
  });

  it("F1 posts nothing where the caller gave up before", async () => {
    const error = new Error("given up");
    const { version } = ledger;
    await expect(ledger.postMany(items, { signal: AbortSignal.abort(error) })).rejects.toBe(error);
    await ledger.refresh();
    expect(ledger.version).toBe(version);
  });
});
