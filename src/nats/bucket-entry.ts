import { InvalidArgumentError } from "../errors.ts";
import type { HeaderBlock } from "./header-block.ts";
import type { StoredMessage } from "./stored-message.ts";

/** What stands at a key of a bucket. */
export interface BucketEntry {
  readonly key: string;
  /** Stream sequence of the entry, its revision. */
  readonly sequence: number;
  /** When the server stored it, in whole milliseconds since 1970. */
  readonly timestampMs: number;
  /** Whether it says that the key was deleted. An empty value that is not a deletion is a value. */
  readonly deleted: boolean;
  /** May be a view into a network chunk: copy what outlives the entry. */
  readonly data: Uint8Array;
  readonly headers: HeaderBlock;
}

/** What is to stand at a key. */
export interface BucketChange {
  /** Tokens of `[A-Za-z0-9_=-]`, joined by dots. */
  readonly key: string;
  /** The value, which may be empty; undefined deletes the key. */
  readonly data: Uint8Array | undefined;
  /** Further headers, sent as they are: the caller has checked them. */
  readonly headers?: readonly (readonly [name: string, value: string])[] | undefined;
}

const key = /^[\w=-]+(?:\.[\w=-]+)*$/;

/** @throws {InvalidArgumentError} of a key that is not escaped */
export function assertKey(text: string): void {
  if (!key.test(text)) {
    throw new InvalidArgumentError("key", "tokens of A-Z a-z 0-9 _ = - joined by dots", text);
  }
}

/** @param keyStart where the key begins in the message's subject */
export function entryOf(message: StoredMessage, keyStart: number): BucketEntry {
  const { subject, sequence, timestampMs, headers, data } = message;
  const deleted = isDeletion(headers);
  return { key: subject.slice(keyStart), sequence, timestampMs, deleted, data, headers };
}

/** As clients of NATS delete (ADR-8), or as the server marks what it removed by itself (ADR-43). */
function isDeletion(headers: HeaderBlock): boolean {
  const operation = headers.get("KV-Operation");
  if (operation !== undefined) return operation === "DEL" || operation === "PURGE";
  return headers.get("Nats-Marker-Reason") !== undefined;
}
