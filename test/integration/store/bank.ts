import { connect, type NatsConnection } from "@nats-io/transport-node";
import { onTestFinished } from "vitest";
import { type ConnectOptions, EventStore } from "../../../src/index.ts";
import { freshStream, natsUrl } from "../../support/server.ts";

export type Noted = { readonly type: "Noted"; readonly data: { readonly n: number } };

/** Options of a store that a test opens; the stream is a fresh one unless it is given. */
export type StoreSetup = Partial<Omit<ConnectOptions, "servers">>;

/** A store that closes when the test is over. */
export async function openStore(setup: StoreSetup = {}): Promise<EventStore> {
  const store = await EventStore.connect({ servers: natsUrl(), stream: freshStream(), ...setup });
  onTestFinished(() => store.close());
  return store;
}

/** A connection of the test's own, such as a service lends to a store. */
export async function openConnection(): Promise<NatsConnection> {
  const nc = await connect({ servers: natsUrl() });
  onTestFinished(() => nc.close());
  return nc;
}

/** One event for each number. */
export function notes(...numbers: readonly number[]): Noted[] {
  return numbers.map((n) => ({ type: "Noted", data: { n } }));
}

/** All values of an iterable. */
export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

/** Values up to a number of them; then the iteration is left. */
export async function take<T>(values: AsyncIterable<T>, count: number): Promise<T[]> {
  const list: T[] = [];
  if (count === 0) return list;
  for await (const value of values) if (list.push(value) === count) break;
  return list;
}

/** What a promise rejects with, or a function throws. */
export async function failureOf(attempt: Promise<unknown> | (() => unknown)): Promise<unknown> {
  try {
    await (typeof attempt === "function" ? attempt() : attempt);
  } catch (error) {
    return error;
  }
  throw new Error("nothing failed");
}

/** The same attempt with arguments that only plain JavaScript lets through. */
export function untyped<T>(value: unknown): T {
  return value as T;
}
