import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { UnsupportedFormatError } from "../../../src/errors.ts";
import { decodeIndex, encodeIndex, type HistoryIndex } from "../../../src/store/history-index.ts";
import {
  assemblePayload,
  decodePayload,
  encodeBody,
  type Metadata,
  PayloadError,
} from "../../../src/store/payload.ts";
import { actorSubject, parseActorSubject } from "../../../src/store/subject.ts";
import { decodeValue, encodeValue } from "../../support/msgpack.ts";

/*
 * The vectors were written from the MessagePack specification and docs/wire-format.md, not by the
 * code they test. What JSON lacks is tagged: {"$bigint": "5"}, {"$date": …}, {"$bytes": hex},
 * {"$number": "NaN"}.
 */

interface Vector {
  readonly name: string;
  readonly hex: string;
}
interface ValueVector extends Vector {
  readonly value: unknown;
}
interface PayloadVector extends Vector {
  readonly index: HistoryIndex | null;
  readonly events: readonly {
    readonly type: string;
    readonly data: unknown;
    readonly metadata?: Metadata;
  }[];
  readonly metadata?: Metadata;
}
interface Vectors {
  readonly subjects: readonly {
    readonly prefix: string;
    readonly type: string;
    readonly id: string;
    readonly subject: string;
  }[];
  readonly notSubjects: readonly {
    readonly prefix: string;
    readonly subject: string;
    readonly reason: string;
  }[];
  readonly indexes: readonly (Vector & HistoryIndex)[];
  readonly notIndexes: readonly (Vector & { readonly ordinal: number })[];
  readonly values: readonly ValueVector[];
  readonly foreignValues: readonly ValueVector[];
  readonly malformedValues: readonly Vector[];
  readonly payloads: readonly PayloadVector[];
  readonly foreignPayloads: readonly PayloadVector[];
  readonly malformedPayloads: readonly Vector[];
  readonly unsupportedPayloads: readonly (Vector & { readonly format: number })[];
}

const vectors: Vectors = JSON.parse(
  readFileSync(new URL("../../fixtures/wire-format.json", import.meta.url), "utf8"),
  (_key, value: unknown) => untag(value),
);

function untag(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if ("$bigint" in value) return BigInt(String(value.$bigint));
  if ("$date" in value) return new Date(String(value.$date));
  if ("$bytes" in value) return new Uint8Array(Buffer.from(String(value.$bytes), "hex"));
  if ("$number" in value) return Number(value.$number);
  return value;
}

function bytes(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

function hex(value: Uint8Array): string {
  return Buffer.from(value).toString("hex");
}

/** A commit of one event `t` with this value as its data. */
const valuePrefix = "9301c0919192a174";

describe("subjects on the wire", () => {
  it.each(vectors.subjects)("are $subject for $type $id", ({ prefix, type, id, subject }) => {
    expect(actorSubject(prefix, { type, id })).toBe(subject);
    expect(parseActorSubject(prefix, subject)).toEqual({ type, id });
  });

  it.each(vectors.notSubjects)("are no actor's with $reason: $subject", ({ prefix, subject }) => {
    expect(parseActorSubject(prefix, subject)).toBeUndefined();
  });
});

describe("history indexes on the wire", () => {
  it.each(vectors.indexes)("decode and encode: $name", (vector) => {
    const { ordinal, unindexedBelow, pointers } = vector;
    expect(hex(encodeIndex({ ordinal, unindexedBelow, pointers }))).toBe(vector.hex);
    expect(decodeIndex(bytes(vector.hex), ordinal)).toEqual({ ordinal, unindexedBelow, pointers });
  });

  it.each(vectors.notIndexes)("are refused: $name", (vector) => {
    expect(decodeIndex(bytes(vector.hex), vector.ordinal)).toBeUndefined();
  });
});

describe("values on the wire", () => {
  it.each(vectors.values)("decode and encode byte by byte: $name", ({ value, ...vector }) => {
    const payload = bytes(valuePrefix + vector.hex);
    expect(decodePayload(payload).events).toStrictEqual([
      { type: "t", data: value, metadata: undefined },
    ]);
    const again = assemblePayload(undefined, encodeBody([{ type: "t", data: value }], undefined));
    expect(hex(again)).toBe(hex(payload));
  });

  it.each(vectors.values)("are the same to another implementation: $name", (vector) => {
    expect(hex(encodeValue(vector.value))).toBe(vector.hex);
    expect(decodeValue(bytes(vector.hex))).toStrictEqual(vector.value);
  });

  it.each(vectors.foreignValues)("decode from other writers: $name", ({ value, ...vector }) => {
    expect(decodePayload(bytes(valuePrefix + vector.hex)).events[0]?.data).toStrictEqual(value);
  });

  it.each(vectors.malformedValues)("are refused: $name", (vector) => {
    expect(() => decodePayload(bytes(valuePrefix + vector.hex))).toThrow(PayloadError);
  });
});

describe("payloads on the wire", () => {
  const expected = (vector: PayloadVector) => ({
    index: vector.index === null ? undefined : new Uint8Array(encodeIndex(vector.index)),
    events: vector.events.map(({ type, data, metadata }) => ({ type, data, metadata })),
    metadata: vector.metadata,
  });

  it.each(vectors.payloads)("decode and encode byte by byte: $name", (vector) => {
    const { index, events, metadata } = vector;
    expect(decodePayload(bytes(vector.hex))).toStrictEqual(expected(vector));
    const encoded = index === null ? undefined : encodeIndex(index);
    expect(hex(assemblePayload(encoded, encodeBody(events, metadata)))).toBe(vector.hex);
  });

  it.each(vectors.foreignPayloads)("decode from other writers: $name", (vector) => {
    expect(decodePayload(bytes(vector.hex))).toStrictEqual(expected(vector));
  });

  it.each(vectors.malformedPayloads)("are refused: $name", (vector) => {
    expect(() => decodePayload(bytes(vector.hex))).toThrow(PayloadError);
  });

  it.each(vectors.unsupportedPayloads)("are not read: $name", (vector) => {
    const failure = () => decodePayload(bytes(vector.hex));
    expect(failure).toThrow(UnsupportedFormatError);
    expect(failure).toThrow(expect.objectContaining({ format: vector.format }));
  });
});

describe("docs/wire-format.md", () => {
  const page = readFileSync(new URL("../../../docs/wire-format.md", import.meta.url), "utf8");

  it("shows no bytes in its tables that are not in a vector", () => {
    const known = new Set(
      [...vectors.values, ...vectors.indexes, ...vectors.payloads].map((vector) => vector.hex),
    );
    const rows = page.split("\n").filter((line) => line.startsWith("|"));
    const shown = rows
      .flatMap((row) => [...row.matchAll(/`((?:[0-9a-f]{2} )+[0-9a-f]{2})`/g)])
      .map(([, found = ""]) => found.replaceAll(" ", ""));
    expect(shown.length).toBeGreaterThan(12);
    expect(shown.filter((found) => !known.has(found))).toEqual([]);
  });

  it("shows subjects as they are", () => {
    const shown = [...page.matchAll(/^\| `(\w+)` +\| `(.+?)` +\| `(bank\..+?)` +\|$/gm)];
    expect(shown.length).toBeGreaterThan(4);
    for (const [, type = "", id = "", subject = ""] of shown) {
      expect(actorSubject("bank", { type, id })).toBe(subject);
    }
  });

  it("shows payloads that are vectors", () => {
    const known = new Set(vectors.payloads.map((vector) => vector.hex));
    const blocks = [...page.matchAll(/```\n(93 [^`]*)```/g)].map(([, block = ""]) =>
      block
        .split("\n")
        .map((line) => /^ *([0-9a-f]+(?: [0-9a-f]+)*)/.exec(line)?.[1] ?? "")
        .join("")
        .replaceAll(" ", ""),
    );
    expect(blocks).toHaveLength(3);
    expect(blocks.filter((block) => !known.has(block))).toEqual([]);
  });
});
