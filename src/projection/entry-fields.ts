import { CorruptStateError } from "./errors.ts";

/** The fields of a bucket's entry that is a JSON object with a format number. */
export class EntryFields {
  readonly #bucket: string;
  readonly #key: string;
  readonly #fields: ReadonlyMap<string, unknown>;

  /** @throws {CorruptStateError} of what is none, or has another format */
  constructor(bucket: string, key: string, data: Uint8Array, format: number) {
    this.#bucket = bucket;
    this.#key = key;
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(data).toString());
    } catch (cause) {
      throw this.#corrupt("it is no JSON", cause);
    }
    if (typeof value !== "object" || value === null) throw this.#corrupt("it is no object");
    this.#fields = new Map<string, unknown>(Object.entries(value));
    const found = this.#fields.get("format");
    if (found === format) return;
    throw this.#corrupt(`it has format ${String(found)}, this version reads ${format}`);
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  /** @throws {CorruptStateError} where it is no whole number from 0 */
  count(name: string): number {
    const number = this.#fields.get(name);
    if (typeof number === "number" && Number.isSafeInteger(number) && number >= 0) return number;
    throw this.#corrupt(`its ${name} is no whole number`);
  }

  /** @throws {CorruptStateError} where it is no text */
  text(name: string): string {
    const found = this.#fields.get(name);
    if (typeof found === "string") return found;
    throw this.#corrupt(`its ${name} is no text`);
  }

  #corrupt(reason: string, cause?: unknown): CorruptStateError {
    return new CorruptStateError(this.#bucket, this.#key, reason, { cause });
  }
}
