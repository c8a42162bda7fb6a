import { Tracing } from "../internal/tracing.ts";
import { type TypedChannel, typedChannel } from "../internal/typed-channel.ts";
import type { Actor } from "../store/subject.ts";

/**
 * The channels on which actor hosts say what they do (`node:diagnostics_channel`). The first three are tracing channels
 * (`tracing:<name>:start`, `…:asyncEnd`, `…:error` and so on): one message object from start to end. Publishing costs
 * nothing while nobody listens; subscribers must not throw.
 *
 * | channel | message |
 * |---|---|
 * | `annal:actor:send` | a command, from its arrival to its outcome: {@link SendMessage} |
 * | `annal:actor:load` | an actor's state is read, or brought up to date: {@link LoadMessage} |
 * | `annal:actor:decide` | one run of `decide`: {@link DecideMessage} |
 * | `annal:actor:snapshot` | a snapshot was written or restored, or not: {@link ActorSnapshotMessage} |
 */
export const actorChannels: {
  readonly send: Tracing<SendMessage>;
  readonly load: Tracing<LoadMessage>;
  readonly decide: Tracing<DecideMessage>;
  readonly snapshot: TypedChannel<ActorSnapshotMessage>;
} = {
  send: new Tracing("annal:actor:send"),
  load: new Tracing("annal:actor:load"),
  decide: new Tracing("annal:actor:decide"),
  snapshot: typedChannel("annal:actor:snapshot"),
};

/** A command on its way through its actor's mailbox. What is undefined at the start is known at the end. */
export interface SendMessage {
  readonly stream: string;
  readonly actor: Actor;
  /** The command's `type`, where it has one. */
  readonly command: string | undefined;
  readonly commandId: string | undefined;
  /** NATS headers of the commit that comes of it, the caller's at first: subscribers may add to them, such as `traceparent`. */
  readonly headers: Record<string, string>;
  /** Whether the actor's state was in memory when the command's turn came. */
  warm?: boolean;
  /** How long it waited for its turn. */
  waitedMs?: number;
  /** Decisions that met a commit of another writer and were taken again, so far. */
  conflicts: number;
  /** Events that came of it. */
  events?: number;
  /** The actor's version after it. */
  version?: number;
  position?: number | undefined;
  /** Whether an earlier call with the same command id had done it already. */
  replayed?: boolean;
}

/** An actor's state is read. What is undefined at the start is known at the end. */
export interface LoadMessage {
  readonly stream: string;
  readonly actor: Actor;
  /** `cold`: it was not in memory; `catch_up`: another writer had appended; `past`: an earlier state was asked for. */
  readonly why: "cold" | "catch_up" | "past";
  /** Version of the snapshot it began with; 0 for none. */
  snapshotVersion?: number;
  /** Commits that were read behind it. */
  commits?: number;
  version?: number;
}

/** One run of `decide`. */
export interface DecideMessage {
  readonly stream: string;
  readonly actor: Actor;
  readonly command: string | undefined;
  /** The version it decides on. */
  readonly version: number;
  /** 1 for the first run. */
  readonly attempt: number;
  /** Events it returned, known at the end. */
  events?: number;
}

/** What became of an actor's snapshot. */
export interface ActorSnapshotMessage {
  readonly stream: string;
  readonly actor: Actor;
  /**
   * `written`; `dropped`: not written, because it failed or too many wait; `restored`: the state begins with it;
   * `ignored`: there is one that cannot be used, so the state is built from the stream.
   */
  readonly what: "written" | "dropped" | "restored" | "ignored";
  /** Version of the actor in it; undefined where that is not known. */
  readonly version: number | undefined;
  readonly bytes: number;
  readonly durationMs: number;
  /** Why it was dropped or ignored. */
  readonly reason: string | undefined;
}
