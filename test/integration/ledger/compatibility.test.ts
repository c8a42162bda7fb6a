import { readFileSync } from "node:fs";
import { describe, expect, it, onTestFinished } from "vitest";
import { UnsupportedFormatError } from "../../../src/index.ts";
import {
  CHAIN_HEADER,
  chainHash,
  journalEntry,
  type LedgersOptions,
} from "../../../src/ledger/index.ts";
import { decodeState, encodeState } from "../../../src/ledger/state-image.ts";
import { pack, unpack } from "../../../src/store/packing.ts";
import {
  describeState,
  type KeptJournal,
  type KeptMessage,
  keepJournal,
  replay,
  stateOf,
  writeJournal,
} from "./compatibility-journal.ts";
import { CREDIT, day, LedgerStage, refusal } from "./ledger-stage.ts";

/**
 * What release 0.1 has stored. A release that stores something else keeps this file and adds one of its own, made by
 * `keepJournal`; this one must be read for good, or refused, never read as something else.
 */
const KEPT: KeptJournal = JSON.parse(
  readFileSync(new URL("../../fixtures/ledger/journal-v1.json", import.meta.url), "utf8"),
);
const ENTRIES = 61;

/** A stream in which the messages stand. */
async function replayed(messages: readonly KeptMessage[]): Promise<LedgerStage> {
  const stage = new LedgerStage();
  onTestFinished(() => stage[Symbol.asyncDispose]());
  stage.nowMs = day(120).getTime();
  await stage.store();
  await replay(stage.stream, messages);
  return stage;
}

/** One more entry of the journal, its hash right. */
function newerEntry(event: readonly [type: string, data: readonly unknown[]]): KeptMessage {
  const last = KEPT.messages.at(-1);
  const version = ENTRIES + 1;
  const data = pack([1, null, [[event]]]);
  const chain = chainHash(last?.headers[CHAIN_HEADER] ?? "", version, "newer", data);
  const headers = {
    "Annal-Commit": "newer",
    "Annal-Version": String(version),
    [CHAIN_HEADER]: chain,
  };
  return { subject: "journal.main", headers, payload: Buffer.from(data).toString("base64") };
}

describe("a journal that release 0.1 has written", () => {
  it("C11 leads to the same state, its hash chain intact", async () => {
    const stage = await replayed(KEPT.messages);
    expect(describeState(await stateOf(await stage.store()))).toEqual(KEPT.state);
    const ledger = await (await stage.ledgers({ snapshotBucket: false })).open("main");
    expect(ledger.version).toBe(ENTRIES);
    const report = await ledger.check();
    expect(report).toMatchObject({ outcome: "clean", version: ENTRIES });
    expect(report.chain.hash).toBe(KEPT.messages.at(-1)?.headers[CHAIN_HEADER]);
  });

  it("C11 says so where one byte of it is another one", async () => {
    const messages = KEPT.messages.map((message, at) => {
      if (at !== 20) return message;
      const bytes = Buffer.from(message.payload, "base64");
      bytes.set([(bytes.at(-1) ?? 0) ^ 1], bytes.length - 1);
      return { ...message, payload: bytes.toString("base64") };
    });
    const stage = await replayed(messages);
    expect(await refusal(stage.other())).toMatchObject({ code: "journal_broken" });
  });

  it("C11 can be gone on with: keys, references, lots and holds are what they were", async () => {
    const stage = await replayed(KEPT.messages);
    const ledger = await stage.other();
    const grant = {
      to: "alice",
      asset: CREDIT,
      amount: 200n,
      expiresAt: day(120),
      metadata: { n: 2 },
    };
    const again = await ledger.grant(
      { ...grant, reference: "grant-2" },
      { idempotencyKey: "key-2" },
    );
    expect(again.replayed).toBe(true);
    const other = ledger.grant({ ...grant, amount: 1n, reference: "grant-2" });
    expect(await refusal(other)).toMatchObject({ code: "duplicate_reference" });
    const [hold] = await ledger.holds("alice");
    expect(hold).toMatchObject({ remaining: 35n, to: "shop" });
    await ledger.capture(hold?.id ?? "");
    const { items } = await ledger.transactions({ account: "greta" });
    await ledger.revert(items[0]?.id ?? "", { force: true });
    expect(await ledger.check()).toMatchObject({ outcome: "clean", version: ENTRIES + 2 });
  });

  it("C11 holds what the same commands come to now", async () => {
    const options: LedgersOptions = { snapshotBucket: false, refreshMs: 0 };
    const { stage, ledger } = await LedgerStage.create({ idempotencyKeys: 1_000 }, options);
    onTestFinished(() => stage[Symbol.asyncDispose]());
    await writeJournal(stage, ledger);
    const now = await keepJournal(await stage.store());
    const { point: _point, tables: _tables, ...decided } = KEPT.state;
    expect(now.state).toMatchObject(decided);
    expect(now.messages).toHaveLength(KEPT.messages.length);
  });
});

describe("a snapshot that release 0.1 has written", () => {
  it("C9 C11 is the same state", async () => {
    const state = await decodeState(KEPT.image.map((chunk) => Buffer.from(chunk, "base64")));
    expect(describeState(state)).toEqual(KEPT.state);
    const chunks = Array.from(encodeState(state), (chunk) => Buffer.from(chunk).toString("base64"));
    expect(chunks).toEqual(KEPT.image);
  });

  it("C9 is refused where its format is a newer one", async () => {
    const [first = "", ...rest] = KEPT.image;
    const bytes = Buffer.from(first, "base64");
    const head: unknown = unpack(bytes, 0, bytes.length);
    const newer = Array.isArray(head) ? pack([head[0], 2, ...head.slice(2)]) : bytes;
    const chunks = [newer, ...rest.map((chunk) => Buffer.from(chunk, "base64"))];
    await expect(decodeState(chunks)).rejects.toThrow(UnsupportedFormatError);
    await expect(decodeState(chunks)).rejects.toThrow("reads states of format 1");
  });
});

describe("an entry that a newer release has written", () => {
  it.each([
    { what: "of a newer format", event: ["TransactionPosted", [2, 0]] as const },
    { what: "of a kind that is not known", event: ["AccountMerged", [1, 0]] as const },
  ])("C9 is refused with its position, $what", async ({ event }) => {
    const stage = await replayed([...KEPT.messages, newerEntry(event)]);
    const error = await refusal(stage.other());
    expect(error).toBeInstanceOf(UnsupportedFormatError);
    expect(error).toMatchObject({ code: "unsupported_format", position: KEPT.messages.length + 1 });
    const store = await stage.store();
    const read = async (): Promise<void> => {
      for await (const each of store.readAll({ actorType: "journal" })) journalEntry(each);
    };
    expect(await refusal(read())).toBeInstanceOf(UnsupportedFormatError);
  });

  it("C9 stops a process that has the ledger open, which can still be checked", async () => {
    const stage = await replayed(KEPT.messages);
    const ledger = await stage.other({ refreshMs: 0 });
    expect(await ledger.balance("alice", CREDIT)).toBeGreaterThan(0n);
    await replay(stage.stream, [newerEntry(["AccountMerged", [1, 0]])]);
    const grant = { to: "alice", asset: CREDIT, amount: 1n };
    expect(await refusal(ledger.grant(grant))).toBeInstanceOf(UnsupportedFormatError);
    // it knows that there is more, so it does not answer with less
    expect(await refusal(ledger.balance("alice", CREDIT))).toBeInstanceOf(UnsupportedFormatError);
    expect(ledger.version).toBe(ENTRIES);
    const report = await ledger.check();
    expect(report).toMatchObject({ outcome: "incomplete", chain: { intact: true } });
    expect(report.memoryVersion).toBe(ENTRIES);
    expect(report.reason).toContain('no entry "AccountMerged"');
  });
});
