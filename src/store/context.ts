import type { Connection } from "../nats/connection.ts";
import type { DirectReader } from "../nats/direct.ts";
import type { StreamCondition } from "./stream-condition.ts";
import type { StreamGuard } from "./stream-guard.ts";
import type { Turns } from "./turns.ts";
import type { VersionCache } from "./version-cache.ts";

/** What the parts of one open store share. */
export interface StoreContext {
  readonly stream: string;
  /** Subjects are `<prefix>.<actor type>.<actor id>`. */
  readonly prefix: string;
  /** `$JS.API`, or that of a domain. */
  readonly apiPrefix: string;
  /** Prefix of all inboxes, where the connection's permissions ask for one. */
  readonly inboxPrefix: string;
  readonly connection: Connection;
  readonly direct: DirectReader;
  readonly cache: VersionCache;
  readonly turns: Turns;
  /** How the stream's settings were when the server was last asked. */
  readonly condition: StreamCondition;
  /** Whether reads may come from a lagging replica, so that heads are asked of the leader. */
  readonly replicated: () => boolean;
  /** Replicas of the stream now. */
  readonly replicas: () => number;
  /** Notices a stream that was rolled back; told of every commit seen. */
  readonly guard: StreamGuard;
  /** Told after a rollback was noticed. */
  readonly rollbackListeners: Set<() => void>;
  /** Told of the subject of an actor in the cache to which another process has appended, where the store follows. */
  readonly headListeners: Set<(subject: string) => void>;
  readonly limits: StoreLimits;
  /** Bytes of headers and payload that server and stream take in one message. */
  readonly maxMessageBytes: () => number;
}

/** The bounds of a store; see `StoreOptions`. */
export interface StoreLimits {
  readonly appendTimeoutMs: number;
  readonly ackTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly maxQueuedAppends: number;
  readonly maxConflictRetries: number;
  readonly maxBatchBytes: number;
  readonly readWindowBytes: number;
  readonly readBufferCommits: number;
}
