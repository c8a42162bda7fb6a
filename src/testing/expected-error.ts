import { AssertionError } from "node:assert";
import { EvolveFailedError } from "../actor/errors.ts";
import { firstDifference } from "./difference.ts";

/** A class of errors. */
export type ErrorClass = abstract new (...given: never[]) => Error;

/** What did not fail, or failed with an error. */
export interface Ending {
  /** Such as `projection balances`. */
  readonly subject: string;
  readonly failure: Error | undefined;
  /** What happened instead of a failure. */
  readonly otherwise: string;
}

/**
 * Asserts a failure by an error of this class, or with such a message; the error's causes count too. That `evolve` throws
 * for the given events is asserted by `EvolveFailedError` alone: it says nothing of the command.
 *
 * @throws {AssertionError}
 */
export function assertFails(ending: Ending, expected: ErrorClass | RegExp): Error {
  const { failure } = ending;
  const isUndecided = isOfGivenEvents(failure) && expected !== EvolveFailedError;
  if (failure !== undefined && !isUndecided && matches(failure, expected)) return failure;
  const wanted = expected instanceof RegExp ? String(expected) : expected.name;
  const detail = isUndecided ? " (by the given events: decide was not called)" : "";
  throw unlike(ending, wanted, expected, detail);
}

/**
 * Asserts a failure by an error like this one: its class, its message, its own properties.
 *
 * @throws {AssertionError}
 */
export function assertFailsLike(ending: Ending, expected: Error): void {
  const { failure } = ending;
  if (failure === undefined || failure.constructor !== expected.constructor) {
    throw unlike(ending, String(expected), expected, "");
  }
  const difference = firstDifference(factsOf(expected), factsOf(failure), "error");
  if (difference === undefined) return;
  const { path, a, b } = difference;
  throw unlike(ending, String(expected), expected, ` (${path}: expected ${a}, found ${b})`);
}

/** Whether it is a class of errors, and not the function that an `await` would hand over. */
export function isErrorClass(value: unknown): value is ErrorClass {
  if (typeof value !== "function") return false;
  return value === Error || value.prototype instanceof Error;
}

/** What was thrown, as an error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown), { cause: thrown });
}

function unlike(
  { subject, failure, otherwise }: Ending,
  wanted: string,
  expected: unknown,
  detail: string,
): AssertionError {
  const found = failure === undefined ? otherwise : `it failed with ${String(failure)}`;
  return new AssertionError({
    message: `expected ${subject} to fail with ${wanted}, but ${found}${detail}`,
    actual: failure,
    expected,
    operator: "thenFails",
  });
}

function factsOf(error: Error): object {
  return Object.fromEntries([["message", error.message], ...Object.entries(error)]);
}

function isOfGivenEvents(failure: Error | undefined): boolean {
  return failure instanceof EvolveFailedError && failure.stored;
}

/** Whether the error or one of its causes is the expected one. */
function matches(error: unknown, expected: ErrorClass | RegExp): boolean {
  const seen = new Set<unknown>();
  for (let at = error; at instanceof Error && !seen.has(at); at = at.cause) {
    seen.add(at);
    // search, unlike test, begins at the start whatever the flags
    const isIt =
      expected instanceof RegExp ? at.message.search(expected) >= 0 : at instanceof expected;
    if (isIt) return true;
  }
  return false;
}
