import { describe, expect, it } from "vitest";
import {
  BEGINNING,
  decodeCheckpoint,
  encodeCheckpoint,
  type StoredCheckpoint,
} from "../../../src/projection/checkpoint.ts";
import { CorruptStateError } from "../../../src/projection/errors.ts";

const checkpoint: StoredCheckpoint = {
  position: 7,
  taken: 2,
  commitId: "c7",
  applied: 12,
  writer: "w",
  epoch: 3,
  nonce: "n",
};

function decode(text: string): StoredCheckpoint {
  return decodeCheckpoint("balances", "_checkpoint", Buffer.from(text));
}

function withField(name: string, value: unknown): string {
  const fields: object = JSON.parse(Buffer.from(encodeCheckpoint(checkpoint)).toString());
  return JSON.stringify({ ...fields, [name]: value });
}

describe("checkpoints", () => {
  it("come back as they were stored", () => {
    const bytes = encodeCheckpoint(checkpoint);
    expect(decodeCheckpoint("b", "k", bytes)).toEqual(checkpoint);
    const first = { ...checkpoint, ...BEGINNING };
    expect(decodeCheckpoint("b", "k", encodeCheckpoint(first))).toEqual(first);
  });

  it("are JSON that any client can read, a format number in it", () => {
    expect(JSON.parse(Buffer.from(encodeCheckpoint(checkpoint)).toString())).toEqual({
      format: 1,
      ...checkpoint,
    });
  });

  it("keep nothing that does not belong to them", () => {
    const more = { ...checkpoint, other: 1 };
    const bytes = encodeCheckpoint(more);
    expect(decodeCheckpoint("b", "k", bytes)).toEqual(checkpoint);
    expect(decode(withField("other", 1))).toEqual(checkpoint);
  });

  const corrupt: readonly (readonly [what: string, text: string, reason: RegExp])[] = [
    ["no JSON", "{", /no JSON/],
    ["nothing", "", /no JSON/],
    ["null", "null", /no object/],
    ["a number", "1", /no object/],
    ["a list", "[]", /format undefined/],
    ["another format", withField("format", 2), /format 2, this version reads 1/],
    ["a negative position", withField("position", -1), /position/],
    ["a fraction", withField("taken", 1.5), /taken/],
    ["a count as text", withField("applied", "12"), /applied/],
    ["a count beyond 2^53", withField("epoch", 2 ** 53), /epoch/],
    ["no commit id", withField("commitId", undefined), /commitId/],
    ["a number as nonce", withField("nonce", 1), /nonce/],
    ["no writer", withField("writer", null), /writer/],
  ];
  it.each(corrupt)("of %s are corrupt, and the error names bucket and key", (_, text, reason) => {
    let failure: unknown;
    try {
      decode(text);
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(CorruptStateError);
    expect(failure).toMatchObject({
      bucket: "balances",
      key: "_checkpoint",
      code: "corrupt_state",
    });
    expect(failure).toHaveProperty("message", expect.stringMatching(reason));
  });
});
