import { AnnalError } from "../errors.ts";
import type { Actor } from "../store/subject.ts";

/** `evolve` threw for an event: the actor has no state from there on. Other actors are not concerned. */
export class EvolveFailedError extends AnnalError {
  readonly code = "evolve_failed";
  readonly actor: Actor;
  /** Version of the event. */
  readonly version: number;
  readonly eventType: string;
  /** Whether the event is in the stream; else it was to come of a command, and nothing was stored. */
  readonly stored: boolean;

  constructor(
    actor: Actor,
    event: { readonly version: number; readonly type: string },
    stored: boolean,
    cause: unknown,
  ) {
    const { version, type } = event;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const where = stored ? "" : "; nothing was stored";
    super(`${nameOf(actor)}: evolve failed at version ${version} (${type}): ${reason}${where}`, {
      cause,
    });
    this.actor = { type: actor.type, id: actor.id };
    this.version = version;
    this.eventType = type;
    this.stored = stored;
  }
}

/** `decide` returned what is no decision; nothing was stored. */
export class InvalidDecisionError extends AnnalError {
  readonly code = "invalid_decision";
  readonly actor: Actor;

  constructor(actor: Actor, reason: string, options?: ErrorOptions) {
    super(`${nameOf(actor)}: ${reason}`, options);
    this.actor = { type: actor.type, id: actor.id };
  }
}

/** A command (or a look at a state) was not done within its time, most likely because it waited for others; nothing was stored. */
export class CommandTimeoutError extends AnnalError {
  readonly code = "command_timeout";
  readonly actor: Actor;
  readonly timeoutMs: number;

  constructor(actor: Actor, timeoutMs: number) {
    super(`${nameOf(actor)}: ${timeoutMs} ms were over before it was asked; nothing was stored`);
    this.actor = { type: actor.type, id: actor.id };
    this.timeoutMs = timeoutMs;
  }
}

function nameOf({ type, id }: Actor): string {
  return `actor ${type}/${id.length > 80 ? `${id.slice(0, 77)}...` : id}`;
}
