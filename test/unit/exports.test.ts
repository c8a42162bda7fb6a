import { describe, expect, it } from "vitest";
import * as annal from "../../src/index.ts";
import * as actor from "../../src/actor/index.ts";
import * as ledger from "../../src/ledger/index.ts";
import * as otel from "../../src/otel/index.ts";
import * as projection from "../../src/projection/index.ts";
import * as server from "../../src/server/index.ts";
import * as testing from "../../src/testing/index.ts";

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
        "appendTracing",
        "channels",
        "jsonReplacer",
        "toJson",
      ]
    `);
  });

  it("of annal/actor are these", () => {
    expect(valuesOf(actor)).toMatchInlineSnapshot(`
      [
        "ActorHost",
        "CommandTimeoutError",
        "EvolveFailedError",
        "InvalidDecisionError",
        "actorChannels",
        "defineActor",
      ]
    `);
  });

  it("of annal/otel are these", () => {
    expect(valuesOf(otel)).toMatchInlineSnapshot(`
      [
        "AlreadyInstrumentedError",
        "Attribute",
        "Metric",
        "instrument",
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

  it("of annal/projection are these", () => {
    expect(valuesOf(projection)).toMatchInlineSnapshot(`
      [
        "CorruptStateError",
        "CoverageError",
        "LeaseLostError",
        "ProjectionFailedError",
        "ProjectionMismatchError",
        "Projector",
        "ProjectorFencedError",
        "Reactor",
        "ReactorFailedError",
        "StateKeyMissingError",
        "StateReader",
        "StateTooLargeError",
        "check",
        "defineProjection",
        "deleteVersion",
        "kvState",
        "memoryState",
        "openTables",
        "projectionChannels",
        "startProjector",
        "startReactor",
        "table",
      ]
    `);
  });

  it("of annal/ledger are these", () => {
    expect(valuesOf(ledger)).toMatchInlineSnapshot(`
      [
        "AccountNotUsableError",
        "AccountOptionsError",
        "AlreadyRevertedError",
        "BatchRefusedError",
        "CHAIN_HEADER",
        "ClockSkewError",
        "CommandOutcomeUnknownError",
        "CommandTimeoutError",
        "CorruptSnapshotError",
        "DEFAULT_SETTINGS",
        "DRAIN_POLICIES",
        "DuplicateReferenceError",
        "HoldEndedError",
        "HoldExceededError",
        "HoldNotFoundError",
        "IdempotencyConflictError",
        "InconsistentStateError",
        "InsufficientFundsError",
        "JournalBrokenError",
        "Ledger",
        "LedgerBucketNotFoundError",
        "LedgerExistsError",
        "LedgerNotFoundError",
        "Ledgers",
        "PreconditionFailedError",
        "SnapshotFormatError",
        "TransactionNotFoundError",
        "TransactionTooLargeError",
        "WORLD",
        "balanceKey",
        "chainHash",
        "checkLedger",
        "journalEntry",
        "ledgerBalances",
        "ledgerChannels",
        "lotKey",
      ]
    `);
  });

  it("of annal/testing are these", () => {
    expect(valuesOf(testing)).toMatchInlineSnapshot(`
      [
        "given",
        "stateOf",
        "testStore",
      ]
    `);
  });

  it("hold every error class, each one an AnnalError", () => {
    const errors = [annal, projection, ledger].flatMap((module) =>
      Object.entries<unknown>({ ...module }).filter(
        ([name]) => name.endsWith("Error") && name !== "AnnalError",
      ),
    );
    expect(errors.length).toBeGreaterThan(15);
    for (const [, value] of errors) {
      expect(Object.getPrototypeOf(value)).toBe(annal.AnnalError);
    }
  });
});
