/** A request is not what it should be; the message is for its sender. */
export class BadRequestError extends Error {
  readonly code = "bad_request";
}

const SHOWN = 60;

/** What was found, for a message: cut, because a client may have sent anything. */
function shown(value: unknown): string {
  const text = value === undefined ? "none" : JSON.stringify(value);
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}

/**
 * Reads an amount: minor units as a text, because a JSON number is not exact beyond 2⁵³.
 *
 * @throws {BadRequestError}
 */
export function readAmount(body: Readonly<Record<string, unknown>>): bigint {
  const { amount } = body;
  if (typeof amount === "string" && /^[1-9]\d{0,17}$/.test(amount)) return BigInt(amount);
  throw new BadRequestError(
    `amount: expected minor units as a text, such as "1250", found ${shown(amount)}`,
  );
}

/** Reads an account's id, wherever it stands. @throws {BadRequestError} */
export function readAccountId(id: unknown, place: string): string {
  if (typeof id === "string" && /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(id)) return id;
  throw new BadRequestError(
    `${place}: expected an account, 1 to 64 letters, digits, and any of _ . - behind the first, found ${shown(id)}`,
  );
}

/** Reads a body of JSON. @throws {BadRequestError} */
export function readObject(body: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new BadRequestError("the body is no JSON");
  }
  if (typeof value === "object" && value !== null) return { ...value };
  throw new BadRequestError("the body must be a JSON object");
}

/**
 * Reads the key under which a request is repeated; it becomes the command's id. The quotes of
 * draft-ietf-httpapi-idempotency-key-header may be there.
 *
 * @throws {BadRequestError}
 */
export function readIdempotencyKey(header: string | undefined): string {
  const key = header?.replace(/^"(.*)"$/, "$1");
  if (key !== undefined && /^[A-Za-z0-9_.:-]{1,100}$/.test(key)) return key;
  throw new BadRequestError(
    "Idempotency-Key: expected 1 to 100 letters, digits, and any of _ . : - that are new for each request and the same " +
      `when it is repeated, found ${shown(header)}`,
  );
}

/** Which state of an account is asked for: `?version=` or `?at=`, or the last. @throws {BadRequestError} */
export function readMoment(query: Readonly<Record<string, string>>): {
  readonly version?: number;
  readonly at?: Date;
} {
  const { version, at } = query;
  if (version !== undefined && at !== undefined) {
    throw new BadRequestError("expected version or at, found both");
  }
  if (version !== undefined) {
    if (/^\d{1,15}$/.test(version)) return { version: Number(version) };
    throw new BadRequestError(`version: expected a whole number, found ${shown(version)}`);
  }
  if (at === undefined) return {};
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) {
    throw new BadRequestError(
      `at: expected a time such as 2026-01-31T12:00:00Z, found ${shown(at)}`,
    );
  }
  return { at: time };
}

/** Whether an `If-None-Match` names an entity tag: alone, in a list, weak or not, or `*` (RFC 9110, 13.1.2). */
export function isMatch(header: string | undefined, etag: string): boolean {
  if (header?.trim() === "*") return true;
  return header?.match(/"[^"]*"/g)?.includes(etag) === true;
}
