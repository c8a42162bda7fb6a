import { AnnalError } from "../errors.ts";

/**
 * What `error.type` says: the code of an error of ours; the name of a `DOMException`, such as `AbortError`, because its
 * class is the same for all; the class of another. Never text that somebody has written.
 */
export function errorTypeOf(error: unknown): string {
  if (error instanceof AnnalError) return error.code;
  if (!(error instanceof Error)) return "_OTHER";
  const { name } = error instanceof DOMException ? error : error.constructor;
  return name === "" ? "_OTHER" : name;
}
