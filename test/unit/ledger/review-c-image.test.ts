import { expect, it } from "vitest";
import { applyCommit } from "../../../src/ledger/journal-state.ts";
import type { JournalEntry } from "../../../src/ledger/journal-entry.ts";
import { decodeState, encodeState } from "../../../src/ledger/state-image.ts";
import { LedgerState } from "../../../src/ledger/state.ts";

const ACCOUNTS = 20_000;
const NOTHING = { key: undefined, content: undefined, reference: undefined } as const;

function granted(to: string): JournalEntry {
  const [asset, amount] = ["EUR", 1n];
  const made = [{ lotIndex: 0, amount, expiresAt: null }];
  const posting = { source: "world", destination: to, asset, amount, asked: amount, made };
  const postings = [{ ...posting, drained: undefined, borrowed: 0n, repaid: 0n }];
  const said = { metadata: undefined, reverts: undefined, captures: undefined };
  return { kind: "posted", decidedAt: 1, at: 1, ...NOTHING, ...said, postings };
}

/** A commit of a grant to each of these accounts. */
function grant(state: LedgerState, from: number, to: number): void {
  const entries: JournalEntry[] = [];
  for (let at = from; at < to; at++) entries.push(granted(`account-${at}`));
  const { version, position } = state.point;
  const point = { version: version + entries.length, position: position + 1 };
  applyCommit(state, {
    entries,
    firstVersion: version + 1,
    recordedAtMs: 0,
    point: { ...point, commitId: "commit", chain: "0".repeat(64) },
  });
}

function opened(accounts: number): LedgerState {
  const state = new LedgerState();
  const terms = { drainPolicy: "emission-first@1", lots: true, overdraft: 0n } as const;
  state.apply({
    kind: "opened",
    decidedAt: 1,
    key: undefined,
    content: undefined,
    ...terms,
    idempotencyKeys: 1_000,
    seeds: [1, 2],
  });
  for (let at = 0; at < accounts; at += 1_000) grant(state, at, at + 1_000);
  return state;
}

it("gives others their turns while a state is decoded", async () => {
  const image = [...encodeState(opened(ACCOUNTS))];
  let turns = 0;
  let decoded = false;
  const count = (): void => {
    if (decoded) return;
    turns++;
    setImmediate(count);
  };
  setImmediate(count);
  const state = await decodeState(image);
  decoded = true;
  expect(turns).toBeGreaterThan(5);
  expect([...encodeState(state)]).toEqual(image);
});

it("encodes the state as it was, however it goes on meanwhile", () => {
  const state = opened(1_000);
  const before = [...encodeState(state)];
  const chunks = encodeState(state);
  // so often that places stand in bytes from then on
  for (let time = 0; time < 40; time++) grant(state, 0, 20);
  grant(state, 1_000, 1_100);
  expect([...chunks]).toEqual(before);
  const many = [...encodeState(state)];
  const again = encodeState(state);
  grant(state, 0, 20);
  expect([...again]).toEqual(many);
});
