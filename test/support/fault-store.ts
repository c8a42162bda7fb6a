import type { AppendResult, ConnectOptions, ExpectedVersion } from "../../src/index.ts";
import { AnnalError, EventStore } from "../../src/index.ts";

/** The events of the fault tests: each says who wrote it, and as what number of its writer. */
export type Counting = {
  counter: {
    readonly type: "Counted";
    readonly data: { readonly writer: string; readonly n: number };
  };
};

export type CountingStore = EventStore<Counting>;

/** An actor of the fault tests. */
export interface Counter {
  readonly type: "counter";
  readonly id: string;
}

export function counter(id: string): Counter {
  return { type: "counter", id };
}

/** The one event of a commit. */
export function counted(writer: string, n: number): Counting["counter"] {
  return { type: "Counted", data: { writer, n } };
}

/** Connects a store that finds its server again within a tenth of a second. */
export function openStore(
  servers: string,
  stream: string,
  options: Omit<ConnectOptions<Counting>, "stream" | "servers"> = {},
): Promise<CountingStore> {
  return EventStore.connect<Counting>({
    servers: servers.split(","),
    stream,
    reconnectTimeWait: 100,
    reconnectJitter: 20,
    ...options,
  });
}

/** Appends one event, numbered by the version that it is to have. */
export function appendOne(
  store: CountingStore,
  id: string,
  expectedVersion: ExpectedVersion,
  options: { commitId?: string; n?: number; writer?: string; timeoutMs?: number } = {},
): Promise<AppendResult> {
  const { commitId, writer = "test", timeoutMs } = options;
  const n = options.n ?? (typeof expectedVersion === "number" ? expectedVersion + 1 : 1);
  const event = counted(writer, n);
  return store.append(counter(id), [event], { expectedVersion, commitId, timeoutMs });
}

/** What a promise rejects with; fails where it resolves. */
export async function failureOf(work: Promise<unknown>): Promise<unknown> {
  const [outcome] = await Promise.allSettled([work]);
  if (outcome.status === "rejected") return outcome.reason;
  throw new Error(`expected a rejection, got ${JSON.stringify(outcome.value)}`);
}

/** The stable code of an error of this package; the error itself where it is none. */
export function codeOf(error: unknown): unknown {
  return error instanceof AnnalError ? error.code : error;
}

/** Versions of an actor's events, oldest first, as a read gives them. */
export async function versionsOf(store: CountingStore, id: string): Promise<number[]> {
  const versions: number[] = [];
  for await (const { version } of store.read(counter(id))) versions.push(version);
  return versions;
}

/** An append that was reported as stored. */
export interface Acknowledged {
  readonly actor: string;
  readonly commitId: string;
  readonly version: number;
}

/** Writes down a result, so that it can be looked for later. */
export function acknowledged(actor: string, { commitId, version }: AppendResult): Acknowledged {
  return { actor, commitId, version };
}
