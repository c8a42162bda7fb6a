import { connect, headers, type MsgHdrs, type NatsConnection } from "@nats-io/transport-node";
import { jetstreamManager, type JetStreamManager } from "@nats-io/jetstream";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { CHAIN_HEADER, JournalBrokenError, type Ledger } from "../../src/ledger/index.ts";
import { type NatsServer, startServer } from "../../src/server/index.ts";
import { CREDIT, LedgerStage, refusal } from "../integration/ledger/ledger-stage.ts";
import { backUp } from "../integration/store/stream-backup.ts";
import { codeOf } from "../support/fault-store.ts";
import { eventually } from "../support/server.ts";
import { auditLedger } from "./ledger-audit.ts";

let server: NatsServer;
let stage: LedgerStage;
let ledger: Ledger;
let nc: NatsConnection;
let manager: JetStreamManager;

beforeAll(async () => {
  server = await startServer({ sync: "default" });
  nc = await connect({ servers: server.url });
  manager = await jetstreamManager(nc, { checkAPI: false });
});

afterAll(async () => {
  await nc.close();
  await server.stop();
});

beforeEach(async () => {
  stage = new LedgerStage(server.url);
  await (await stage.ledgers()).create("main", { bucket: "eu" });
  ledger = await stage.other({ refreshMs: 0, commandTimeoutMs: 5_000 });
});

afterEach(() => stage[Symbol.asyncDispose]());

const asset = CREDIT;
const grant = (of: Ledger = ledger) => of.grant({ to: "alice", asset, amount: 10n });

interface Forged {
  readonly chain?: string | undefined;
  readonly change?: (payload: Uint8Array) => Uint8Array;
}

/** Appends a copy of the journal's last commit behind it, as a client that knows the format but not the chain. */
async function forge({ chain, change = (payload) => payload }: Forged): Promise<number> {
  const last = await manager.streams.getMessage(stage.stream, { last_by_subj: stage.journal });
  if (last === null) throw new Error("the journal is empty");
  const [version = "0", ordinal] = last.header.get("Annal-Version").split(".");
  const head: MsgHdrs = headers();
  head.set("Nats-Expected-Last-Subject-Sequence", String(last.seq));
  head.set("Annal-Commit", "forged");
  const next = Number(version) + 1;
  head.set("Annal-Version", ordinal === undefined ? String(next) : `${next}`);
  if (chain !== undefined)
    head.set(CHAIN_HEADER, chain === "same" ? last.header.get(CHAIN_HEADER) : chain);
  const answer = await nc.request(stage.journal, change(withoutIndex(last.data)), {
    headers: head,
    timeout: 5_000,
  });
  const { seq, error } = answer.json<{ seq?: number; error?: { description: string } }>();
  if (seq === undefined) throw new Error(error?.description);
  return seq;
}

/** A commit is `[format, index, [events]]`; without its index any place is as good as another. */
function withoutIndex(payload: Uint8Array): Uint8Array {
  // 0x93, format, then bin8 with its length, or nil
  if (payload[2] === 0xc0) return payload;
  const length = payload[3] ?? 0;
  return Buffer.concat([payload.subarray(0, 2), Buffer.from([0xc0]), payload.subarray(4 + length)]);
}

describe("a journal that somebody else has written to", () => {
  const forgeries: readonly (readonly [string, Forged])[] = [
    ["with a wrong hash", { chain: "ab".repeat(32) }],
    ["with the hash of the commit before", { chain: "same" }],
    ["without a hash", {}],
    ["with no hash at all", { chain: "x" }],
  ];

  it.each(forgeries)("is JournalBrokenError when it is opened: %s", async (_, forged) => {
    await grant();
    const position = await forge(forged);
    const error = await refusal(stage.other());
    expect(error).toBeInstanceOf(JournalBrokenError);
    expect(error).toMatchObject({ code: "journal_broken", ledger: "main", position });
  });

  it.each(forgeries)(
    "is JournalBrokenError when an open ledger reads on: %s",
    async (_, forged) => {
      await grant();
      const position = await forge(forged);
      const errors = await Promise.all([
        refusal(grant()),
        refusal(grant()),
        refusal(ledger.refresh()),
      ]);
      for (const error of errors) {
        expect(error).toBeInstanceOf(JournalBrokenError);
        expect(error).toMatchObject({ position });
      }
      // and for good: nothing is decided on it, nothing more is written
      expect(await refusal(grant())).toBeInstanceOf(JournalBrokenError);
      const last = await manager.streams.getMessage(stage.stream, { last_by_subj: stage.journal });
      expect(last?.seq).toBe(position);
      // nor is anything told as if it were so
      expect(await refusal(ledger.balance("alice", asset))).toBeInstanceOf(JournalBrokenError);
    },
  );

  it("is JournalBrokenError where a process has only looked, without any command", async () => {
    const watching = await stage.other({ refreshMs: 20 });
    await grant();
    await forge({ chain: "ab".repeat(32) });
    await eventually(async () =>
      expect(codeOf(await refusal(watching.refresh()))).toBe("journal_broken"),
    );
    expect(codeOf(await refusal(watching.balance("alice", asset)))).toBe("journal_broken");
  });

  it("stays open for the ledgers beside it", async () => {
    const ledgers = await stage.ledgers();
    await ledgers.create("second", { bucket: "eu" });
    const second = await ledgers.open("second");
    await grant();
    await forge({ chain: "ab".repeat(32) });
    expect(await refusal(ledgers.open("main"))).toBeInstanceOf(JournalBrokenError);
    await grant(second);
    expect(await second.balance("alice", asset)).toBe(10n);
  });
});

describe("a stream that is another one under an open ledger", () => {
  /** What the ledger says as soon as it knows; what it says before that is of no account. */
  async function settled(): Promise<void> {
    await eventually(() =>
      ledger.refresh().then(
        () => true,
        () => true,
      ),
    );
  }

  it("is followed where it was put back to an earlier state: what is gone is gone, and nothing is doubled", async () => {
    await grant();
    const backup = await backUp(nc, stage.stream);
    const lost = await ledger.grant({ to: "alice", asset, amount: 5n }, { idempotencyKey: "lost" });
    await manager.streams.delete(stage.stream);
    await backup.restore();
    await settled();
    await eventually(
      async () => {
        await ledger.grant({ to: "bob", asset, amount: 1n }, { idempotencyKey: "after" });
      },
      { timeoutMs: 20_000 },
    );
    expect(await ledger.balance("alice", asset)).toBe(10n);
    const again = await ledger.grant(
      { to: "alice", asset, amount: 5n },
      { idempotencyKey: "lost" },
    );
    expect(again.replayed).toBe(false);
    expect(again.id).not.toBe(lost.id);
    const all = await auditLedger(await stage.other(), [{ key: "lost", id: again.id }]);
    expect(all).toHaveLength(3);
    expect(await ledger.balance("alice", asset)).toBe(15n);
  }, 60_000);

  it("is not decided on where it was put back and written to since by another process", async () => {
    await grant();
    const backup = await backUp(nc, stage.stream);
    await ledger.grant({ to: "alice", asset, amount: 90n });
    await manager.streams.delete(stage.stream);
    await backup.restore();
    const other = await stage.other();
    await other.grant({ to: "bob", asset, amount: 3n });
    // the same version and position as what was lost: only the commit ids tell
    const outcome = await ledger
      .spend({ from: "alice", asset, amount: 50n })
      .then(() => "posted", codeOf);
    expect(outcome).toMatch(/insufficient_funds|stream_rolled_back|command_timeout|unknown/);
    await eventually(
      async () => {
        expect(await ledger.balance("bob", asset, { fresh: true })).toBe(3n);
      },
      { timeoutMs: 20_000 },
    );
    expect(codeOf(await refusal(ledger.spend({ from: "alice", asset, amount: 50n })))).toBe(
      "insufficient_funds",
    );
    await auditLedger(await stage.other(), []);
  }, 60_000);

  it("is not begun anew where the stream is empty: the ledger is not there any more", async () => {
    await grant();
    const { config } = await manager.streams.info(stage.stream);
    await manager.streams.delete(stage.stream);
    await manager.streams.add(config);
    await settled();
    for (let time = 0; time < 3; time++) {
      const error = await refusal(grant());
      expect(codeOf(error)).toMatch(/stream_rolled_back|ledger_not_found|journal_broken/);
    }
    const left = await manager.streams.info(stage.stream, { subjects_filter: ">" });
    expect(left.state.messages).toBe(0);
  }, 60_000);
});
