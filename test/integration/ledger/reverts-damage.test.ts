import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { uniqueIds } from "../../../src/internal/unique-ids.ts";
import { InconsistentStateError, type Ledger, WORLD } from "../../../src/ledger/index.ts";
import { Journal } from "../../../src/ledger/journal.ts";
import { joinPieces, packEntries } from "../../../src/ledger/journal-codec.ts";
import type { JournalEntry, PostedEntry } from "../../../src/ledger/journal-entry.ts";
import { JOURNAL_START, type JournalPoint } from "../../../src/ledger/state.ts";
import { foreignWriter } from "../store/foreign-writer.ts";
import { CREDIT, LedgerStage, refusal } from "./ledger-stage.ts";

/*
 * What another release, or a broken one, may have left in a journal whose chain of hashes is right, and what an
 * administrator may have removed.
 */

let stage: LedgerStage;
let ledger: Ledger;

beforeEach(async () => {
  ({ stage, ledger } = await LedgerStage.create());
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;

/** Appends entries to the journal of `main` as they are; the position of their commit. */
async function inject(...entries: readonly JournalEntry[]): Promise<number> {
  const journal = new Journal(await stage.store(), "main");
  let point: JournalPoint = JOURNAL_START;
  for await (const commit of journal.tail(point, 5_000)) point = commit.point;
  const body = joinPieces([packEntries(entries)], entries.length);
  const stored = await journal.append(body, entries.length, uniqueIds()(), point, 5_000);
  return stored.position;
}

function posted(postings: PostedEntry["postings"]): PostedEntry {
  const { nowMs: decidedAt } = stage;
  const details = {
    reference: undefined,
    metadata: undefined,
    reverts: undefined,
    captures: undefined,
  };
  return {
    kind: "posted",
    decidedAt,
    key: undefined,
    content: undefined,
    at: decidedAt,
    postings,
    ...details,
  };
}

describe("a revert of a transaction in a damaged journal", () => {
  it("R4 that stands there without postings is InconsistentStateError, and posts nothing", async () => {
    const position = await inject(posted([]));
    await ledger.refresh();
    const before = ledger.version;
    for (const force of [false, true]) {
      const error = await refusal(ledger.revert(`${position}.0`, { force }));
      expect(error).toBeInstanceOf(InconsistentStateError);
    }
    expect(ledger.version).toBe(before);
    // and the ledger goes on
    await ledger.grant({ to: "alice", asset, amount: 5n });
  });

  it("R5 that is missing although the ledger knows of it is InconsistentStateError", async () => {
    const { id, position } = await ledger.grant(
      { to: "alice", asset, amount: 5n },
      { idempotencyKey: "k" },
    );
    await ledger.grant({ to: "alice", asset, amount: 5n });
    await (await (await foreignWriter()).manager()).streams
      .deleteMessage(stage.stream, position)
      .catch(async () => {
        // a stream that denies it can still be purged
        await (await (await foreignWriter()).manager()).streams.purge(stage.stream, {
          seq: position + 1,
        });
      });
    const error = await refusal(ledger.revert(id));
    expect(error).toBeInstanceOf(InconsistentStateError);
    const again = await refusal(
      ledger.grant({ to: "alice", asset, amount: 5n }, { idempotencyKey: "k" }),
    );
    expect(again).toBeInstanceOf(InconsistentStateError);
    expect(await ledger.balance("alice", asset)).toBe(10n);
    expect(await ledger.balance(WORLD, asset)).toBe(-10n);
  });
});
