import { InvalidArgumentError } from "../errors.ts";
import type { ReadBounds } from "../nats/direct.ts";
import type { StoredCommit } from "./commit.ts";
import type { StoreContext } from "./context.ts";
import { channels } from "./diagnostics.ts";
import type { EventMap, RecordedEvent } from "./event.ts";
import type { HistoryReader } from "./history-reader.ts";
import type { Interpreter } from "./interpreter.ts";
import { count } from "./options.ts";
import { type Actor, actorSubject } from "./subject.ts";

/** Which events of an actor to read. */
export interface ReadOptions {
  /** First version, included. @default 1 */
  readonly fromVersion?: number | undefined;
  /** Last version, included. @default the actor's version when the read starts */
  readonly toVersion?: number | undefined;
  /** @default "forwards" */
  readonly direction?: "forwards" | "backwards" | undefined;
  /** Events at most. @default all */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads the events of one actor. */
export class ActorReader<Events extends EventMap> {
  readonly #context: StoreContext;
  readonly #history: HistoryReader;
  readonly #interpreter: Interpreter<Events>;

  constructor(context: StoreContext, history: HistoryReader, interpreter: Interpreter<Events>) {
    this.#context = context;
    this.#history = history;
    this.#interpreter = interpreter;
  }

  read(actor: Actor, options: ReadOptions): AsyncGenerator<RecordedEvent<Events>, void, undefined> {
    const { stream, prefix, limits } = this.#context;
    const subject = actorSubject(prefix, actor);
    const fromVersion = count("fromVersion", options.fromVersion ?? 1, 1);
    const toVersion =
      options.toVersion === undefined
        ? Number.MAX_SAFE_INTEGER
        : count("toVersion", options.toVersion, 0);
    const limit =
      options.limit === undefined ? Number.POSITIVE_INFINITY : count("limit", options.limit, 0);
    const direction: unknown = options.direction ?? "forwards";
    if (direction !== "forwards" && direction !== "backwards") {
      throw new InvalidArgumentError("direction", '"forwards" or "backwards"', direction);
    }
    const bounds: ReadBounds = { timeoutMs: limits.readTimeoutMs, signal: options.signal };
    const commits = this.#history.commits(
      subject,
      {
        fromVersion,
        // Forwards, a limit bounds the versions, and so what has to be fetched.
        toVersion:
          direction === "forwards" ? Math.min(toVersion, fromVersion + limit - 1) : toVersion,
        backwards: direction === "backwards",
        expectedEvents: limit === Number.POSITIVE_INFINITY ? undefined : limit,
      },
      bounds,
    );
    const wanted = { fromVersion, toVersion, limit, backwards: direction === "backwards" };
    return this.#events(commits, wanted, stream, subject);
  }

  /** The last events, oldest first. */
  async last(actor: Actor, limit: number, signal?: AbortSignal): Promise<RecordedEvent<Events>[]> {
    const events: RecordedEvent<Events>[] = [];
    const range = { direction: "backwards", limit: count("count", limit, 0), signal } as const;
    for await (const event of this.read(actor, range)) events.push(event);
    return events.reverse();
  }

  async *#events(
    commits: AsyncGenerator<StoredCommit, void, undefined>,
    wanted: {
      readonly fromVersion: number;
      readonly toVersion: number;
      readonly limit: number;
      readonly backwards: boolean;
    },
    stream: string,
    subject: string,
  ): AsyncGenerator<RecordedEvent<Events>, void, undefined> {
    // The clock costs as much as a good part of a commit: it is looked at for listeners only.
    const told = channels.read.hasSubscribers;
    const now = (): number => (told ? performance.now() : 0);
    let read = 0;
    let left = wanted.limit;
    let failure: unknown;
    let waitedMs = 0;
    // Since when the consumer has been waiting; undefined while it has a commit's events to work on.
    let askedAt: number | undefined = now();
    try {
      if (left === 0) return;
      for await (const commit of commits) {
        read++;
        const interpreted = this.#interpreter.events(commit);
        const events = interpreted instanceof Promise ? await interpreted : interpreted;
        if (wanted.backwards) events.reverse();
        waitedMs += now() - askedAt;
        askedAt = undefined;
        for (const event of events) {
          const { version } = event;
          if (version < wanted.fromVersion || version > wanted.toVersion) continue;
          yield event;
          if (--left === 0) return;
        }
        askedAt = now();
      }
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      if (told) {
        const durationMs = waitedMs + (askedAt === undefined ? 0 : now() - askedAt);
        channels.read.publish({ stream, subject, commits: read, durationMs, error: failure });
      }
    }
  }
}
