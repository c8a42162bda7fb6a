import { describe, expect, it } from "vitest";
import { AppendTooLargeError, InvalidArgumentError } from "../../../src/errors.ts";
import { firstIndex, nextIndex } from "../../../src/store/history-index.ts";
import {
  headerLines,
  meets,
  outgoingCommit,
  type PreparedAppend,
  validateExpectedVersion,
} from "../../../src/store/outgoing.ts";
import { decodePayload, encodeBody } from "../../../src/store/payload.ts";
import { type Head, NO_HEAD } from "../../../src/store/version-cache.ts";

const append: PreparedAppend = {
  actor: { type: "account", id: "alice" },
  subject: "bank.account.alice",
  expectedVersion: "any",
  body: encodeBody([{ type: "a" }, { type: "b" }], undefined),
  eventCount: 2,
  commitId: "c-1",
  commitIdGiven: true,
  signal: undefined,
  extraHeaders: "traceparent: t\r\n",
};
const behind: Head = { version: 7, sequence: 42, commitId: "c-0", index: firstIndex(3) };

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}

describe("meets", () => {
  it("says which versions an expectation allows", () => {
    const versions = [0, 1, 5];
    expect(versions.map((version) => meets("any", version))).toEqual([true, true, true]);
    expect(versions.map((version) => meets("none", version))).toEqual([true, false, false]);
    expect(versions.map((version) => meets("exists", version))).toEqual([false, true, true]);
    expect(versions.map((version) => meets(1, version))).toEqual([false, true, false]);
    expect(versions.map((version) => meets(0, version))).toEqual([true, false, false]);
  });
});

describe("validateExpectedVersion", () => {
  it("gives back what it accepts, and names what it does not", () => {
    for (const good of [0, 5, Number.MAX_SAFE_INTEGER, "any", "none", "exists"]) {
      expect(validateExpectedVersion(good, "x")).toBe(good);
    }
    for (const bad of [-1, 0.5, Number.NaN, 2 ** 53, "ANY", "", undefined, null, 5n, true]) {
      expect(() => validateExpectedVersion(bad, "entries[3].expectedVersion")).toThrow(
        /^entries\[3\]\.expectedVersion: /,
      );
    }
  });
});

describe("outgoingCommit", () => {
  it("states predecessor, commit id, version and ordinal, then the caller's headers", () => {
    const commit = outgoingCommit(append, behind, 1 << 20, "Nats-Batch-Id: b\r\n");
    expect(textOf(commit.headers)).toBe(
      "NATS/1.0\r\n" +
        "Nats-Expected-Last-Subject-Sequence: 42\r\n" +
        "Annal-Commit: c-1\r\n" +
        "Annal-Version: 9.1\r\n" +
        "Nats-Batch-Id: b\r\n" +
        "traceparent: t\r\n" +
        "\r\n",
    );
    expect(commit.index).toEqual(nextIndex(firstIndex(3), 42, 7));
    expect(commit.version).toBe(9);
    expect(decodePayload(commit.payload).events.map(({ type }) => type)).toEqual(["a", "b"]);
  });

  it("begins an actor's history at version 1 and ordinal 0", () => {
    const commit = outgoingCommit(append, NO_HEAD, 1 << 20, "");
    expect(textOf(commit.headers)).toContain("Nats-Expected-Last-Subject-Sequence: 0\r\n");
    expect(textOf(commit.headers)).toContain("Annal-Version: 2.0\r\n");
    expect(commit.index).toEqual(firstIndex(0));
  });

  it("begins an epoch behind a commit without index", () => {
    const commit = outgoingCommit(append, { ...behind, index: "none" }, 1 << 20, "");
    expect(textOf(commit.headers)).toContain("Annal-Version: 9.0\r\n");
    expect(commit.index).toEqual({ ordinal: 0, unindexedBelow: 42, pointers: [] });
  });

  it("never guesses the index of a head of which it only saw the headers", () => {
    const head: Head = { ...behind, index: "unknown" };
    expect(() => outgoingCommit(append, head, 1 << 20, "")).toThrow(/complete/);
  });

  it("counts headers and payload against the message's limit, to the byte", () => {
    const { headers, payload } = outgoingCommit(append, behind, 1 << 20, "");
    const size = headers.length + payload.length;
    expect(() => outgoingCommit(append, behind, size, "")).not.toThrow();
    expect(() => outgoingCommit(append, behind, size - 1, "")).toThrow(AppendTooLargeError);
  });

  it("keeps headers below 64 KB", () => {
    const large = { ...append, extraHeaders: `a: ${"x".repeat(66_000)}\r\n` };
    expect(() => outgoingCommit(large, behind, 1 << 20, "")).toThrow(/65535/);
  });
});

describe("headerLines", () => {
  it("makes a line of each header", () => {
    expect(headerLines(undefined)).toBe("");
    expect(headerLines({})).toBe("");
    expect(headerLines({ traceparent: "00-a-b-01", "X-A": "ü\tb" })).toBe(
      "traceparent: 00-a-b-01\r\nX-A: ü\tb\r\n",
    );
  });

  it.each(["Nats-Msg-Id", "nats-ttl", "NATS-X", "Annal-Commit", "annal-x", "a b", "a:", "", "ü"])(
    "refuses the name %j",
    (name) => {
      expect(() => headerLines({ [name]: "x" })).toThrow(InvalidArgumentError);
    },
  );

  it.each(["a\r\nb", "a\nb", "a\u0000", "\u007f", "\ud800"])("refuses the value %j", (value) => {
    expect(() => headerLines({ a: value })).toThrow(InvalidArgumentError);
  });

  it.each([" padded", "padded ", "\tpadded"])(
    "refuses the value %j, which would come back without its padding",
    (value) => {
      expect(() => headerLines({ a: value })).toThrow(InvalidArgumentError);
    },
  );
});
