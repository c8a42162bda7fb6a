import { InvalidArgumentError } from "../errors.ts";

/** The most characters (each one byte) of a commit id. */
const maxCommitIdLength = 128;

const printable = /^[\x21-\x7e]{1,128}$/;

/**
 * Asserts that `commitId` may stand in the `Annal-Commit` header as it is: 1 to 128 printable ASCII
 * characters without space, so that no header parser of any client trims or folds it.
 *
 * @throws {InvalidArgumentError} naming `commitId`
 */
export function validateCommitId(commitId: unknown): asserts commitId is string {
  if (typeof commitId !== "string" || !printable.test(commitId)) {
    throw new InvalidArgumentError(
      "commitId",
      `1 to ${maxCommitIdLength} printable ASCII characters without spaces`,
      commitId,
    );
  }
}

/** Begins the commit ids that nobody gave, so that nobody will repeat them. */
const MADE_UP = "~";

/** The commit id of an append without one. */
export function madeUpId(unique: string): string {
  return `${MADE_UP}${unique}`;
}

const madeUp = /^~[0-9A-Za-z]{18,}(?:\/\d+)?$/;

/** Whether nobody gave the commit id, which may be that of one actor among several. Ids made of such an id are others. */
export function isMadeUp(commitId: string): boolean {
  return commitId.startsWith(MADE_UP) && madeUp.test(commitId);
}
