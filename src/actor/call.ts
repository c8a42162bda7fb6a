import type { AnyEvent } from "../store/event.ts";
import type { CommitOptions } from "../store/writer.ts";
import type { ActiveActor } from "./active-actor.ts";
import type { CommandFacts } from "./decision.ts";
import type { Evolving } from "./definition.ts";
import type { SendMessage } from "./diagnostics.ts";
import type { SendOptions } from "./send-options.ts";

/** A command on its way. */
export class Call implements CommandFacts {
  readonly command: unknown;
  readonly commandId: string | undefined;
  readonly options: Omit<CommitOptions, "commitId">;
  readonly receivedAtMs: number;
  /** By `performance.now()`. */
  readonly arrivedAt: number;
  /** By `performance.now()`. */
  readonly deadline: number;
  readonly timeoutMs: number;
  /** undefined where nobody listens. */
  readonly told: SendMessage | undefined;

  constructor(
    command: unknown,
    options: SendOptions,
    receivedAtMs: number,
    timeoutMs: number,
    told: SendMessage | undefined,
  ) {
    this.command = command;
    this.commandId = options.commandId;
    this.options = options;
    this.receivedAtMs = receivedAtMs;
    this.arrivedAt = performance.now();
    this.deadline = this.arrivedAt + timeoutMs;
    this.timeoutMs = timeoutMs;
    this.told = told;
  }
}

/** What came of a command. */
export interface CommandOutcome {
  readonly state: unknown;
  readonly version: number;
  readonly events: readonly Evolving<AnyEvent>[];
  readonly position: number | undefined;
  readonly commitId: string | undefined;
  readonly replayed: boolean;
}

/** The command's `type`, where it has one. */
export function typeOf(command: unknown): string | undefined {
  if (typeof command !== "object" || command === null || !("type" in command)) return undefined;
  return typeof command.type === "string" ? command.type : undefined;
}

/** Says on the channel that the command has its turn. */
export function tellTurn(told: SendMessage, { current }: ActiveActor, { arrivedAt }: Call): void {
  told.warm = current !== undefined;
  told.waitedMs = performance.now() - arrivedAt;
}

/** Says on the channel what came of it. */
export function tellOutcome(told: SendMessage, outcome: CommandOutcome): void {
  told.version = outcome.version;
  told.events = outcome.events.length;
  told.position = outcome.position;
  told.replayed = outcome.replayed;
}

/** What is left of a command's time, in whole milliseconds. */
export function leftMs({ deadline }: Call, now: number): number {
  return Math.max(1, Math.ceil(deadline - now));
}

/** The caller's headers, and what listeners have added; the caller's win. */
export function headersOf({ options, told }: Call): CommitOptions["headers"] {
  return told === undefined ? options.headers : { ...told.headers, ...options.headers };
}
