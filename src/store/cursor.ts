import { InvalidArgumentError } from "../errors.ts";
import type { Cursor } from "./event.ts";

/** A cursor taken apart. */
export interface CursorParts {
  readonly position: number;
  /** Events of the commit at `position` that were taken already, at least 1. */
  readonly taken: number;
  readonly commitId: string;
}

export function formatCursor(position: number, taken: number, commitId: string): Cursor {
  return `${position}.${taken}.${commitId}`;
}

export function parseCursor(cursor: unknown, argument: string): CursorParts {
  const match =
    typeof cursor === "string" ? /^(\d{1,16})\.(\d{1,9})\.([!-~]+)$/.exec(cursor) : null;
  const position = Number(match?.[1]);
  const taken = Number(match?.[2]);
  const commitId = match?.[3];
  if (commitId === undefined || !Number.isSafeInteger(position) || position < 1 || taken < 1) {
    throw new InvalidArgumentError(argument, "a cursor that came from an event or commit", cursor);
  }
  return { position, taken, commitId };
}
