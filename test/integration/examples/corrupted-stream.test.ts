import { connect, headers } from "nats";
import { describe, expect, it } from "vitest";
import {
  ACTOR_TYPE,
  commitIdOf,
  eventOf,
  type LogRow,
  loadLog,
} from "../../../examples/multi-writer/event-log.ts";
import { EventStore } from "../../../src/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";
import { type ExampleRun, runExample } from "./run-example.ts";

const EVENTS = 600;
const rows = loadLog({ kind: "generated", seed: 1, events: EVENTS });
/** Some actor with several rows, and two of them that follow each other. */
const second = rows.find((row) => row.version === 2 && eventOf(row).type !== typeOfFirst(row));
const first = rows.find((row) => row.actorId === second?.actorId);
const lastOfSome = rows.at(-1);

function typeOfFirst({ actorId }: LogRow): string | undefined {
  return rows.find((row) => row.actorId === actorId)?.eventType;
}

/** Stores rows one behind the other, whatever version they should have. */
async function store(stream: string, stored: readonly LogRow[]): Promise<void> {
  await using store = await EventStore.connect({ servers: natsUrl(), stream });
  const versions = new Map<string, number>();
  const appends = stored.map((row) => {
    const version = versions.get(row.actorId) ?? 0;
    versions.set(row.actorId, version + 1);
    const actor = { type: ACTOR_TYPE, id: row.actorId };
    const commitId = `${commitIdOf(row)}-${version}`;
    return store.append(actor, [eventOf(row)], { expectedVersion: version, commitId });
  });
  await Promise.all(appends);
}

/** Publishes a message behind an actor's last one, with whatever headers and payload. */
async function publish(
  stream: string,
  id: string,
  sequence: number,
  fields: Readonly<Record<string, string>>,
  payload: Uint8Array,
): Promise<void> {
  const nc = await connect({ servers: natsUrl() });
  const lines = headers();
  lines.set("Nats-Expected-Last-Subject-Sequence", String(sequence));
  for (const [name, value] of Object.entries(fields)) lines.set(name, value);
  const subject = `${stream.toLowerCase()}.${ACTOR_TYPE}.${id}`;
  await nc.jetstream().publish(subject, payload, { headers: lines });
  await nc.close();
}

function verify(stream: string): Promise<ExampleRun> {
  const args = ["--verify-only", "--events", String(EVENTS), "--stream", stream];
  return runExample("multi-writer", args);
}

describe("the verifier of the multi-writer example", () => {
  it("passes a stream that holds the log", async () => {
    const stream = freshStream();
    await store(stream, rows);
    const { code, output } = await verify(stream);
    expect(output).toContain(`Proved: ${EVENTS} events`);
    expect(code).toBe(0);
  });

  it.each([
    {
      what: "the last row of an actor is lost",
      stored: rows.filter((row) => row !== lastOfSome),
      says: [`✗ every row of the log is there`, `row ${lastOfSome?.number} of`],
    },
    {
      what: "a row in the middle is lost",
      stored: rows.filter((row) => row !== first),
      says: [
        `✗ every row of the log is there`,
        "✗ each actor's events stand in the order of the log",
      ],
    },
    {
      what: "a row is there twice",
      stored: lastOfSome === undefined ? [] : [...rows, lastOfSome],
      says: [`✗ no row is there twice`, `row ${lastOfSome?.number} stands 2 times`],
    },
    {
      what: "two rows of an actor have changed places",
      stored: rows.map((row) => (row === first ? second : row === second ? first : row)),
      says: ["✗ each actor's events stand in the order of the log"],
    },
    {
      what: "a row has other data",
      stored: rows.map((row) => (row === first ? { ...row, resource: "somebody else" } : row)),
      says: ["✗ nothing else is there", "✗ every row of the log is there"],
    },
    {
      what: "there is an actor that the log does not know",
      stored: [...rows, { ...rows[0], actorId: "stranger" }],
      says: ["✗ nothing else is there", "case/stranger"],
    },
    { what: "it is empty", stored: [], says: ["✗ every row of the log is there"] },
  ])("fails a stream where $what", async ({ stored, says }) => {
    const stream = freshStream();
    await store(stream, stored.filter(isRow));
    const { code, output } = await verify(stream);
    for (const text of says) expect(output).toContain(text);
    expect(output).toContain("NOT PROVED");
    expect(code).toBe(1);
  });

  it("fails a stream where an actor's versions have a hole", async () => {
    const stream = freshStream();
    await store(stream, rows);
    const event = Buffer.from("9301c0919192a178c0", "hex");
    await publish(stream, "hole", 0, { "Annal-Commit": "a", "Annal-Version": "1" }, event);
    await publish(stream, "hole", EVENTS + 1, { "Annal-Commit": "b", "Annal-Version": "3" }, event);
    const { code, output } = await verify(stream);
    expect(output).toContain("✗ versions are dense");
    expect(output).toContain("case/hole: version 3 stands where 2 belongs");
    expect(code).toBe(1);
  });

  it("fails a stream that holds what is no commit", async () => {
    const stream = freshStream();
    await store(stream, rows);
    await publish(stream, "rubbish", 0, {}, Buffer.from("rubbish"));
    const { code, output } = await verify(stream);
    expect(output).toContain("✗ the stream can be read from its start to its end");
    expect(output).toContain(`position ${EVENTS + 1}`);
    expect(code).toBe(1);
  });
});

function isRow(row: Partial<LogRow> | undefined): row is LogRow {
  return row?.number !== undefined && row.actorId !== undefined;
}
