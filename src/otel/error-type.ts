import { AnnalError } from "../errors.ts";

/** What `error.type` says: the code of an error of ours, the class of another; never text that somebody has written. */
export function errorTypeOf(error: unknown): string {
  if (error instanceof AnnalError) return error.code;
  if (!(error instanceof Error)) return "_OTHER";
  const { name } = error.constructor;
  return name === "" ? "_OTHER" : name;
}
