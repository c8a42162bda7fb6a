import { describe, expect, it } from "vitest";
import { OverloadedError, StreamRolledBackError } from "../../../src/errors.ts";
import { CommandOutcomeUnknownError, PreconditionFailedError } from "../../../src/ledger/errors.ts";
import { failedOutcome } from "../../../src/ledger/results.ts";

describe("a precondition that failed", () => {
  it("says of what, what was expected and what was found", () => {
    const error = new PreconditionFailedError("the ledger's version", "7", "9");
    expect(error).toMatchObject({ what: "the ledger's version", expected: "7", found: "9" });
    expect(error.message).toBe("the ledger's version: expected 7, found 9");
  });
});

describe("the outcome of one of many", () => {
  it("is unknown where nobody can tell whether it was posted", () => {
    const unforeseen = new CommandOutcomeUnknownError("main", new Error("it broke"));
    const rolledBack = new StreamRolledBackError("BANK", 7, "a", "b");
    for (const error of [unforeseen, rolledBack])
      expect(failedOutcome(error, undefined)).toEqual({ status: "unknown", error });
  });

  it("is unknown for the signal's reason, and for nothing else that came of it", () => {
    const error = new Error("given up");
    const signal = AbortSignal.abort(error);
    expect(failedOutcome(error, signal)).toEqual({ status: "unknown", error });
    const other = new Error("another one");
    expect(failedOutcome(other, signal)).toEqual({ status: "refused", error: other });
    expect(failedOutcome(error, new AbortController().signal).status).toBe("refused");
  });

  it("is a refusal where it was not sent", () => {
    const error = new OverloadedError("commands", 1);
    expect(failedOutcome(error, undefined)).toEqual({ status: "refused", error });
  });
});
