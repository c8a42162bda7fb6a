import { beforeEach, describe, expect, it } from "vitest";
import { Fingerprints } from "../../../src/ledger/fingerprint.ts";
import { LedgerProcess, MemoryJournal } from "../../support/ledger-process.ts";
import type { NaiveCommand } from "../../support/naive-commands.ts";

/** All texts have one fingerprint; contents keep their own. */
class Colliding extends Fingerprints {
  override of(): number {
    return 7;
  }
}

function grant(amount: bigint, idempotencyKey?: string, reference?: string): NaiveCommand {
  const input = { to: "a", asset: "GOLD", amount, reference };
  return { does: "grant", input, options: { idempotencyKey } };
}

let journal: MemoryJournal;
let process: LedgerProcess;

beforeEach(() => {
  journal = new MemoryJournal({
    kind: "opened",
    decidedAt: 0,
    key: undefined,
    content: undefined,
    drainPolicy: "emission-first@1",
    lots: false,
    overdraft: 0n,
    idempotencyKeys: 100,
    seeds: [1, 2],
  });
  process = new LedgerProcess(journal, () => 1_000);
  process.state.fingerprints = new Colliding(1, 2);
});

/** Verdicts of what lands. */
function landed() {
  process.send();
  return process.land({ lost: false })?.flatMap(({ verdicts }) => verdicts);
}

const kept = (version: number, amount: bigint, replayed = false) => ({
  version,
  amounts: [amount],
  replayed,
});

describe("commands whose names share a fingerprint", () => {
  const sent = [grant(1n, "k1"), grant(2n, "k2"), grant(3n, undefined, "k1"), grant(4n, "k3", "r")];
  const first = [kept(2, 1n), kept(3, 2n), kept(4, 3n), kept(5, 4n)];
  const again = first.map((one) => ({ ...one, replayed: true }));

  it("are told apart while they wait, on their way, and when they are acknowledged", () => {
    for (const command of [...sent, ...sent]) process.submit([command]);
    process.send();
    for (const command of sent) process.submit([command]);
    expect(process.land({ lost: false })?.flatMap(({ verdicts }) => verdicts)).toEqual([
      ...first,
      ...again,
    ]);
    expect(landed()).toEqual(again);
    for (const command of sent) process.submit([command]);
    expect(landed()).toEqual(again);
    expect(journal.replayed().version).toBe(5);
  });

  it("are refused for their own names only", () => {
    process.submit([grant(1n, "k1", "r")]);
    process.submit([grant(2n, "k1")]);
    process.submit([grant(2n, "k2", "r")]);
    process.submit([grant(2n, "k2", "k1")]);
    expect(landed()).toEqual([
      kept(2, 1n),
      { refused: "idempotency_conflict" },
      { refused: "duplicate_reference" },
      kept(3, 2n),
    ]);
  });

  it("leave no name of what was refused or only tried", () => {
    process.submit([grant(1n, "k1"), grant(2n, "k2")], { dryRun: true });
    process.submit([grant(1n, "k1", "r"), grant(2n, "k1")], { dryRun: false });
    process.submit([grant(3n, "k1", "r")]);
    process.submit([grant(4n, "k2")]);
    expect(landed()?.slice(-2)).toEqual([kept(2, 3n), kept(3, 4n)]);
  });

  it("are decided anew where another process was faster", () => {
    const other = new LedgerProcess(journal, () => 1_000);
    process.submit([grant(1n, "k1")]);
    process.send();
    process.submit([grant(2n, "k2")]);
    other.submit([grant(9n, "other")]);
    other.send();
    other.land({ lost: false });
    expect(process.land({ lost: false })).toBeUndefined();
    expect(landed()).toEqual([kept(3, 1n), kept(4, 2n)]);
  });
});
