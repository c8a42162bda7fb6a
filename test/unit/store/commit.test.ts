import { describe, expect, it } from "vitest";
import { CorruptCommitError, UnsupportedFormatError } from "../../../src/errors.ts";
import { HeaderBlock, type StoredMessage } from "../../../src/nats/stored-message.ts";
import { Header, headOf, indexOf, readCommit } from "../../../src/store/commit.ts";
import { encodeIndex, type HistoryIndex } from "../../../src/store/history-index.ts";
import { assemblePayload, encodeBody } from "../../../src/store/payload.ts";

const first: HistoryIndex = { ordinal: 0, unindexedBelow: 0, pointers: [] };

interface Given {
  readonly version?: string;
  readonly expected?: string;
  readonly index?: HistoryIndex;
  readonly data?: Uint8Array;
}

function message({ version = "1.0", expected = "0", index = first, data }: Given): StoredMessage {
  const headers = [
    "NATS/1.0",
    `${Header.commit}: c1`,
    `${Header.version}: ${version}`,
    `${Header.expectedSequence}: ${expected}`,
  ];
  return {
    subject: "bank.account.alice",
    sequence: 42,
    timestampMs: 1,
    headers: new HeaderBlock(`${headers.join("\r\n")}\r\n\r\n`),
    data: data ?? assemblePayload(encodeIndex(index), encodeBody([{ type: "t" }], undefined)),
  };
}

function read(given: Given) {
  return readCommit(message(given), "bank");
}

describe("readCommit", () => {
  it.each([
    ["1", 1, undefined],
    ["1.0", 1, 0],
    ["10.20", 10, 20],
    ["9007199254740991.3", Number.MAX_SAFE_INTEGER, 3],
  ])("reads Annal-Version %s", (version, expectedVersion, ordinal) => {
    expect(read({ version })).toMatchObject({ version: expectedVersion, ordinal });
  });

  it.each([
    "0",
    "01",
    "+1",
    "-1",
    "1.",
    ".1",
    "1.00",
    "1.-1",
    "1.2.3",
    "1e1",
    "0x1",
    "1 0",
    "١",
    "9007199254740992",
    "10000000000000000",
    "",
  ])("refuses Annal-Version '%s'", (version) => {
    expect(() => read({ version })).toThrow(CorruptCommitError);
    expect(() => read({ version })).toThrow(/Annal-Version/);
  });

  it.each(["x", "-1", "1.5", "00", "1e3", "9007199254740992"])(
    "refuses the expected sequence '%s'",
    (expected) => {
      expect(() => read({ expected })).toThrow(CorruptCommitError);
      expect(() => read({ expected })).toThrow(/Nats-Expected-Last-Subject-Sequence is/);
    },
  );

  it("names the position of what is no payload, and passes on that a format is unknown", () => {
    const text = new TextEncoder();
    expect(() => read({ data: text.encode("{}") })).toThrow(CorruptCommitError);
    expect(() => read({ data: text.encode("{}") })).toThrow(/position 42/);
    expect(() => read({ data: new Uint8Array([0x93, 2, 0xc0, 0xc0]) })).toThrow(
      UnsupportedFormatError,
    );
  });
});

describe("indexOf", () => {
  it("is the index of a commit that is where it says", () => {
    expect(indexOf(read({}))).toEqual(first);
    const epoch = { ordinal: 0, unindexedBelow: 5, pointers: [] };
    expect(indexOf(read({ version: "7.0", expected: "5", index: epoch }))).toEqual(epoch);
    const second = { ordinal: 1, unindexedBelow: 0, pointers: [10, 2] };
    expect(indexOf(read({ version: "3.1", expected: "10", index: second }))).toEqual(second);
  });

  it("is none where the newest pointer is not the predecessor", () => {
    const second = { ordinal: 1, unindexedBelow: 0, pointers: [10, 2] };
    expect(indexOf(read({ version: "3.1", expected: "11", index: second }))).toBe("none");
    expect(indexOf(read({ version: "4.1", expected: "10", index: second }))).toBe("none");
  });

  it("is none of a commit that calls itself the first but does not begin at version 1", () => {
    expect(indexOf(read({ version: "2.0" }))).toBe("none");
    expect(headOf(read({ version: "2.0" })).index).toBe("none");
  });
});
