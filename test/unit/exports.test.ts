import { describe, expect, it } from "vitest";
import * as annal from "../../src/index.ts";
import * as server from "../../src/server/index.ts";

/** The values that a module exports; what is only a type leaves no trace at run time. */
function valuesOf(module: object): string[] {
  return Object.keys(module).sort();
}

describe("the public exports", () => {
  it("of annal are these", () => {
    expect(valuesOf(annal)).toMatchInlineSnapshot(`
      [
        "AnnalError",
        "AppendOutcomeUnknownError",
        "AppendTooLargeError",
        "ClosedError",
        "CommitIdReusedError",
        "ConnectionFailedError",
        "CorruptCommitError",
        "EventStore",
        "InvalidArgumentError",
        "JetStreamUnavailableError",
        "OverloadedError",
        "ReadTimeoutError",
        "SchemaValidationError",
        "ServerRefusedError",
        "ServerStartError",
        "ServerTooOldError",
        "StreamNotFoundError",
        "StreamRolledBackError",
        "StreamSettingsError",
        "TooManyConflictsError",
        "UnserialisableValueError",
        "UnsupportedFormatError",
        "VersionConflictError",
        "channels",
        "jsonReplacer",
        "toJson",
      ]
    `);
  });

  it("of annal/server are these", () => {
    expect(valuesOf(server)).toMatchInlineSnapshot(`
      [
        "DEFAULT_IMAGE",
        "SERVER_PLACES",
        "ServerStartError",
        "findServer",
        "startServer",
        "useServer",
      ]
    `);
  });

  it("of annal hold every error class, each with a stable code of its own name", () => {
    const errors = Object.entries(annal).filter(
      ([name]) => name.endsWith("Error") && name !== "AnnalError",
    );
    expect(errors.length).toBeGreaterThan(15);
    for (const [, value] of errors) {
      expect(Object.getPrototypeOf(value)).toBe(annal.AnnalError);
    }
  });
});
