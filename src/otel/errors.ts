import { AnnalError } from "../errors.ts";

/** `instrument` was called while an earlier one is in force: everything would be counted and traced twice. */
export class AlreadyInstrumentedError extends AnnalError {
  readonly code = "already_instrumented";

  constructor() {
    super("annal is instrumented in this process already: expected the earlier one to be disabled");
  }
}
