import { describe, expect, it } from "vitest";
import { InvalidArgumentError } from "../../../src/errors.ts";
import { validateCommitId } from "../../../src/store/commit-id.ts";
import {
  actorSubject,
  escapeToken,
  maxSubjectBytes,
  parseActorSubject,
  unescapeToken,
  validateActor,
  validatePrefix,
} from "../../../src/store/subject.ts";

function argumentOf(failing: () => void): string | undefined {
  try {
    failing();
  } catch (error) {
    if (error instanceof InvalidArgumentError) return error.argument;
    throw error;
  }
  return undefined;
}

describe("validateActor", () => {
  it.each([
    [undefined, "actor"],
    ["account/alice", "actor"],
    [{}, "actor.type"],
    [{ type: "", id: "a" }, "actor.type"],
    [{ type: "1st", id: "a" }, "actor.type"],
    [{ type: "a.b", id: "a" }, "actor.type"],
    [{ type: "*", id: "a" }, "actor.type"],
    [{ type: "account\n", id: "a" }, "actor.type"],
    [{ type: "account" }, "actor.id"],
    [{ type: "account", id: "" }, "actor.id"],
    [{ type: "account", id: 7 }, "actor.id"],
    [{ type: "account", id: "a\ud800" }, "actor.id"],
  ])("refuses %o, naming %s", (actor, argument) => {
    expect(argumentOf(() => validateActor(actor))).toBe(argument);
  });

  it("takes any non-empty well-formed id", () => {
    for (const id of ["a", " ", "*", ">", "=2E", "🙂", "\u0000", "x".repeat(300)]) {
      expect(argumentOf(() => validateActor({ type: "account", id }))).toBeUndefined();
    }
  });
});

describe("actorSubject", () => {
  it("takes an id of 300 letters, and one whose subject has just the most bytes allowed", () => {
    expect(actorSubject("bank", { type: "a", id: "x".repeat(300) })).toHaveLength(307);
    const longest = "x".repeat(maxSubjectBytes - "bank.a.".length);
    expect(actorSubject("bank", { type: "a", id: longest })).toHaveLength(maxSubjectBytes);
  });

  it("refuses an id whose subject is too long, with the sizes", () => {
    const id = "🙂".repeat(100);
    expect(() => actorSubject("bank", { type: "a", id })).toThrow(InvalidArgumentError);
    expect(() => actorSubject("bank", { type: "a", id })).toThrow(/at most 1000 bytes.*takes 1207/);
  });

  it("refuses an invalid actor, so that no wildcard ever gets into a subject", () => {
    expect(argumentOf(() => actorSubject("bank", { type: "*", id: "a" }))).toBe("actor.type");
    expect(actorSubject("bank", { type: "a", id: "*.>" })).toBe("bank.a.=2A=2E=3E");
  });
});

describe("parseActorSubject", () => {
  it("knows no actor whose subject would be too long", () => {
    const subject = `bank.a.${"x".repeat(maxSubjectBytes)}`;
    expect(parseActorSubject("bank", subject)).toBeUndefined();
  });

  it("does not take another prefix of the same beginning for its own", () => {
    expect(parseActorSubject("eu.bank", "eu.bank2.a.b")).toBeUndefined();
    expect(parseActorSubject("eu.bank", "eu.bank2a.b")).toBeUndefined();
    expect(parseActorSubject("eu.bank", "eu.bank.a.b")).toEqual({ type: "a", id: "b" });
  });
});

describe("escapeToken", () => {
  it("escapes the escape character itself", () => {
    expect(escapeToken("a=b")).toBe("a=3Db");
    expect(unescapeToken("a=3Db")).toBe("a=b");
  });

  it("refuses a lone surrogate instead of changing it", () => {
    expect(argumentOf(() => escapeToken("\udc00"))).toBe("text");
  });

  it("has no empty token", () => {
    expect(unescapeToken("")).toBeUndefined();
  });
});

describe("validatePrefix", () => {
  it.each(["bank", "eu.bank", "A_b-9.x"])("takes %s", (prefix) => {
    expect(argumentOf(() => validatePrefix(prefix))).toBeUndefined();
  });

  it.each(["", ".", "a.", ".a", "a..b", "a b", "$JS", "a.*", "a.>", "a=2E", "a\n", 5, undefined])(
    "refuses %o",
    (prefix) => {
      expect(argumentOf(() => validatePrefix(prefix, "subjectPrefix"))).toBe("subjectPrefix");
    },
  );
});

describe("validateCommitId", () => {
  it.each(["a", "018f2b1e-7c3a-7d52-9a3e-0b6c1f2a4d5e", "x:1/~!", "x".repeat(128)])(
    "takes %s",
    (id) => {
      expect(argumentOf(() => validateCommitId(id))).toBeUndefined();
    },
  );

  it.each(["", " a", "a b", "a\r\nX: y", "a\n", "é", "x".repeat(129), 7, undefined])(
    "refuses %o",
    (id) => {
      expect(argumentOf(() => validateCommitId(id))).toBe("commitId");
    },
  );
});
