import { InvalidArgumentError } from "../errors.ts";
import { isWellFormed } from "../internal/well-formed.ts";
import { escapeToken, unescapeToken } from "../store/subject.ts";

declare const brand: unique symbol;

/** A key of a table, made by `t.<table>.key(id)`: `<table>.<id>`, the id as it is. */
export type StateKey = string & { readonly [brand]: true };

/** The most bytes of an escaped key; the subject `$KV.<bucket>.<table>.<key>` stays under 1 KB with it. */
const maxEscapedBytes = 700;
/** What needs no second look: short, and no character that is escaped. */
const plain = /^[A-Za-z0-9_-]{1,200}$/;

/** The key made last: an event declares, reads and puts the same one, and a text that is used again has its hash. */
let lastTable = "";
let lastId = "";
let lastKey: StateKey = "" as StateKey;

/**
 * The key of an id in a table.
 *
 * @throws {InvalidArgumentError} of an empty id, one with lone surrogates, or one too long for a NATS subject
 */
export function stateKey(table: string, id: string): StateKey {
  if (id === lastId && table === lastTable) return lastKey;
  // A pattern also tests what is no text, as its text.
  if (typeof id !== "string" || !plain.test(id)) checkId(table, id);
  lastTable = table;
  lastId = id;
  lastKey = `${table}.${id}` as StateKey;
  return lastKey;
}

/** The table and the id of a key. */
export function splitStateKey(key: string): { readonly table: string; readonly id: string } {
  const dot = key.indexOf(".");
  return { table: key.slice(0, dot), id: key.slice(dot + 1) };
}

/** The key of the bucket's entry: `<table>.<id>`, with every byte of the id outside `[A-Za-z0-9_-]` as `=HH`. */
export function bucketKeyOf(key: string): string {
  const dot = key.indexOf(".");
  const id = key.slice(dot + 1);
  const token = escapeToken(id);
  return token === id ? key : `${key.slice(0, dot + 1)}${token}`;
}

/** The state key of a bucket's entry; undefined for an entry that is none, such as the checkpoint. */
export function parseBucketKey(bucketKey: string): StateKey | undefined {
  const dot = bucketKey.indexOf(".");
  if (dot < 1 || bucketKey.startsWith("_")) return undefined;
  const id = unescapeToken(bucketKey.slice(dot + 1));
  return id === undefined ? undefined : (`${bucketKey.slice(0, dot + 1)}${id}` as StateKey);
}

function checkId(table: string, id: unknown): void {
  const argument = `key of table ${table}`;
  if (typeof id !== "string" || id === "") {
    throw new InvalidArgumentError(argument, "a non-empty string", id);
  }
  if (!isWellFormed(id)) {
    throw new InvalidArgumentError(argument, "a string without lone surrogates", id);
  }
  const bytes = escapeToken(id).length;
  if (bytes <= maxEscapedBytes) return;
  const expected = `a text of at most ${maxEscapedBytes} bytes in its escaped form (this one has ${bytes})`;
  throw new InvalidArgumentError(argument, expected, id);
}
