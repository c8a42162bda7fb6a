import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Ledger } from "../../../src/ledger/index.ts";
import { CREDIT, day, LedgerStage, TODAY } from "./ledger-stage.ts";

let stage: LedgerStage;
let ledger: Ledger;

beforeEach(async () => {
  ({ stage, ledger } = await LedgerStage.create());
  await ledger.grant({ to: "alice", asset: CREDIT, amount: 100n });
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const expiresAt = day(TODAY + 10);
const metadata = { order: 7 };

async function hold(amount = 60n, reference?: string): Promise<string> {
  const input = { from: "alice", to: "shop", asset, amount, expiresAt, reference, metadata };
  return (await ledger.hold(input)).id;
}

/** What this process says of a hold, and one that has just started. */
async function expectStatus(id: string, expected: object): Promise<void> {
  for (const reader of [ledger, await stage.other()])
    expect(await reader.holdStatus(id)).toMatchObject(expected);
}

/** Lets every hold expire, and has the ledger forget them. */
async function passBy(): Promise<void> {
  stage.nowMs = expiresAt.getTime();
  await ledger.grant({ to: "bob", asset, amount: 50n });
  const later = { asset, expiresAt: day(TODAY + 20), amount: 1n };
  for (let at = 0; at < 3; at++) await ledger.hold({ ...later, from: "bob" });
  await ledger.spend({ from: "alice", asset, amount: 1n });
}

describe("holdStatus", () => {
  it("L20 tells all that was said of an active hold, and what it still reserves", async () => {
    const id = await hold(60n, "stay-1");
    const decidedAt = new Date(stage.nowMs);
    const placed = { id, account: "alice", asset, to: "shop", amount: 60n, expiresAt, decidedAt };
    const said = { reference: "stay-1", idempotencyKey: undefined, metadata };
    const status = { status: "active", remaining: 60n };
    expect(await ledger.holdStatus(id)).toEqual({ ...placed, ...said, ...status });
    await ledger.setMetadata({ transaction: id }, { room: 12 });
    await ledger.capture(id, 20n, { final: false });
    await expectStatus(id, {
      ...placed,
      ...status,
      remaining: 40n,
      metadata: { order: 7, room: 12 },
    });
  });

  it("L20 tells a hold that was captured or released from one that expired, however long ago", async () => {
    const captured = await hold(10n);
    const released = await hold(10n);
    const expired = await hold(10n);
    const partly = await hold(10n);
    await ledger.capture(captured);
    await ledger.release(released);
    await ledger.capture(partly, 4n, { final: false });
    const ended = { status: "ended", remaining: 0n, amount: 10n, metadata };
    for (const id of [captured, released]) await expectStatus(id, ended);
    const over = { status: "expired", remaining: 0n, amount: 10n, metadata };
    stage.nowMs = expiresAt.getTime() - 1;
    await expectStatus(expired, { status: "active", remaining: 10n });
    await expectStatus(partly, { status: "active", remaining: 6n });
    expect(await ledger.holdStatus(expired, { at: expiresAt })).toMatchObject(over);
    stage.nowMs++;
    await expectStatus(expired, over);
    await passBy();
    for (const id of [expired, partly]) await expectStatus(id, over);
    for (const id of [captured, released]) await expectStatus(id, ended);
  });

  it("L20 knows a hold that another process has just placed", async () => {
    const other = await stage.other({ refreshMs: 0 });
    const id = await hold();
    expect(await other.holdStatus(id)).toMatchObject({ status: "active", remaining: 60n });
  });

  it("L20 is undefined where no hold of this ledger stands", async () => {
    const { id, position } = await ledger.grant({ to: "bob", asset, amount: 1n });
    for (const none of [id, `${position}.9`, "9999.0", "0.0"])
      expect(await ledger.holdStatus(none)).toBeUndefined();
    await expect(ledger.holdStatus("x")).rejects.toMatchObject({ code: "invalid_argument" });
  });
});
