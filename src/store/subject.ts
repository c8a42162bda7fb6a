import { InvalidArgumentError } from "../errors.ts";
import { isWellFormed } from "../internal/well-formed.ts";

/**
 * Actors and the subjects that hold their histories: `<prefix>.<type>.<escaped id>`, one subject an
 * actor. The mapping is one to one: of a subject there is at most one actor, of an actor exactly
 * one subject.
 */

/** The entity that owns a history. */
export interface Actor<T extends string = string> {
  /** `[A-Za-z][A-Za-z0-9_-]*`, such as `account`. */
  readonly type: T;
  /** Any non-empty well-formed string; taken as it is, without normalisation. */
  readonly id: string;
}

/**
 * The most bytes that an actor's subject may take; far below the server's limit of a protocol line
 * (4 KB).
 */
export const maxSubjectBytes = 1000;

const actorType = /^[A-Za-z][A-Za-z0-9_-]*$/;
const plainToken = /^[A-Za-z0-9_-]+$/;
const escapedToken = /^(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+$/;
const dottedTokens = /^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;
const toEscape = /[^A-Za-z0-9_-]/;

const encoder = new TextEncoder();
// without ignoreBOM, an id that starts with U+FEFF would lose it
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Asserts that `actor` has a valid type and id.
 *
 * @throws {InvalidArgumentError} naming `actor`, `actor.type` or `actor.id`
 */
export function validateActor(actor: unknown): asserts actor is Actor {
  if (typeof actor !== "object" || actor === null) {
    throw new InvalidArgumentError("actor", "an object { type, id }", actor);
  }
  const type = "type" in actor ? actor.type : undefined;
  const id = "id" in actor ? actor.id : undefined;
  validateActorType(type, "actor.type");
  if (typeof id !== "string" || id === "") {
    throw new InvalidArgumentError("actor.id", "a non-empty string", id);
  }
  if (!isWellFormed(id)) {
    throw new InvalidArgumentError("actor.id", "a string without lone surrogates", id);
  }
}

/** @throws {InvalidArgumentError} naming `argument` */
export function validateActorType(type: unknown, argument: string): asserts type is string {
  if (typeof type === "string" && actorType.test(type)) return;
  throw new InvalidArgumentError(argument, "a letter followed by letters, digits, _ and -", type);
}

/**
 * The literal subject of an actor. The actor is validated first.
 *
 * @param prefix a valid prefix, see {@link validatePrefix}
 * @throws {InvalidArgumentError} of an invalid actor, and of an id that makes the subject too long
 */
export function actorSubject(prefix: string, actor: Actor): string {
  validateActor(actor);
  const { type, id } = actor;
  const subject = `${prefix}.${type}.${plainToken.test(id) ? id : escapeToken(id)}`;
  // every character of a subject is one byte
  if (subject.length > maxSubjectBytes) {
    throw new InvalidArgumentError(
      "actor.id",
      `an id whose subject takes at most ${maxSubjectBytes} bytes ` +
        `(this one's takes ${subject.length}: ` +
        "each byte other than A-Z, a-z, 0-9, _ and - takes three)",
      id,
    );
  }
  return subject;
}

/** Readers pass many actors of one type in a row. */
let lastParsedType = "";

/** The actor of a subject, or undefined where {@link actorSubject} gives no actor that subject. */
export function parseActorSubject(prefix: string, subject: string): Actor | undefined {
  const typeAt = prefix.length + 1;
  if (subject.length > maxSubjectBytes) return undefined;
  if (!subject.startsWith(prefix) || subject[prefix.length] !== ".") return undefined;
  const dot = subject.indexOf(".", typeAt);
  if (dot === -1) return undefined;
  const type = subject.slice(typeAt, dot);
  if (type !== lastParsedType) {
    if (!actorType.test(type)) return undefined;
    lastParsedType = type;
  }
  const id = unescapeToken(subject.slice(dot + 1));
  return id === undefined ? undefined : { type, id };
}

/**
 * Any well-formed text as one token of a subject or one key of a KV bucket: in its UTF-8 form every
 * byte outside `[A-Za-z0-9_-]`, `=` included, becomes `=` and two upper-case hex digits.
 *
 * @throws {InvalidArgumentError} of a lone surrogate, which has no UTF-8 form
 */
export function escapeToken(text: string): string {
  if (!toEscape.test(text)) return text;
  if (!isWellFormed(text)) {
    throw new InvalidArgumentError("text", "a string without lone surrogates", text);
  }
  let token = "";
  for (const byte of encoder.encode(text)) {
    token += isPlain(byte)
      ? String.fromCharCode(byte)
      : `=${byte < 16 ? "0" : ""}${byte.toString(16).toUpperCase()}`;
  }
  return token;
}

/**
 * The text that {@link escapeToken} makes this token of, or undefined where there is none: empty,
 * another character, lower-case hex, a byte escaped without need (`=41`), no UTF-8.
 */
export function unescapeToken(token: string): string | undefined {
  if (plainToken.test(token)) return token;
  if (!escapedToken.test(token)) return undefined;
  const bytes = new Uint8Array(token.length);
  let length = 0;
  for (let at = 0; at < token.length; at++) {
    let byte = token.charCodeAt(at);
    if (byte === 0x3d) {
      byte = Number.parseInt(token.slice(at + 1, at + 3), 16);
      if (isPlain(byte)) return undefined;
      at += 2;
    }
    bytes[length++] = byte;
  }
  try {
    return decoder.decode(bytes.subarray(0, length));
  } catch {
    return undefined;
  }
}

/**
 * Checks a subject prefix: tokens of `[A-Za-z0-9_-]+`, joined by dots.
 *
 * @param argument how the error names it. @default "prefix"
 * @throws {InvalidArgumentError}
 */
export function validatePrefix(prefix: unknown, argument = "prefix"): asserts prefix is string {
  if (typeof prefix !== "string" || !dottedTokens.test(prefix)) {
    throw new InvalidArgumentError(
      argument,
      "tokens of letters, digits, _ and -, joined by dots",
      prefix,
    );
  }
}

function isPlain(byte: number): boolean {
  return (
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x5f ||
    byte === 0x2d
  );
}
