import { types } from "node:util";
import { UnserialisableValueError } from "../errors.ts";
import { isWellFormed } from "../internal/well-formed.ts";
import { maxDepth } from "../store/serialisable.ts";

/** How values are stored: MessagePack, or JSON, which has no bigints, dates, bytes, NaN and infinities. */
export type ValueFormat = "msgpack" | "json";

/** Adds up how many bytes values take in a bucket, within a few per cent. */
export interface Meter {
  bytes: number;
}

/**
 * The value as it will come back from the bucket: itself where it is plain data throughout, else a copy of the
 * containers in which something differs (properties that are undefined are left out, elements that are undefined are
 * null, -0 is 0). So what is cached equals what is stored, also after a restart.
 *
 * @throws {UnserialisableValueError} with the path of what has no stored form
 */
export function plainValue(
  value: unknown,
  format: ValueFormat,
  path: string,
  meter: Meter,
): unknown {
  return new Walk(format, meter).convert(value, path, 0);
}

class Walk {
  readonly #json: boolean;
  readonly #meter: Meter;

  constructor(format: ValueFormat, meter: Meter) {
    this.#json = format === "json";
    this.#meter = meter;
  }

  convert(value: unknown, path: string, depth: number): unknown {
    switch (typeof value) {
      case "string":
        if (!isWellFormed(value)) refuse(path, "a string with a lone surrogate cannot be stored");
        this.#meter.bytes += 3 + this.#textBytes(value);
        return value;
      case "number":
        return this.#convertNumber(value, path);
      case "boolean":
        this.#meter.bytes += 5;
        return value;
      case "bigint":
        if (this.#json) refuse(path, 'JSON has no bigint: store text, or use values: "msgpack"');
        this.#meter.bytes +=
          9 + (value > 0xffff_ffff_ffffn || value < -0xffff_ffff_ffffn ? sizeOf(value) : 0);
        return value;
      case "object":
        if (value === null) {
          this.#meter.bytes += 4;
          return null;
        }
        if (depth >= maxDepth)
          refuse(path, `nested deeper than ${maxDepth} levels, or contains itself`);
        return this.#convertObject(value, path, depth);
      default:
        return refuse(
          path,
          `${value === undefined ? "undefined" : `a ${typeof value}`} cannot be stored`,
        );
    }
  }

  #convertNumber(value: number, path: string): number {
    if (this.#json && !Number.isFinite(value)) refuse(path, `JSON has no ${value}`);
    this.#meter.bytes += this.#json ? String(value).length + 1 : 9;
    return value === 0 ? 0 : value;
  }

  #textBytes(text: string): number {
    return Buffer.byteLength(this.#json ? JSON.stringify(text) : text);
  }

  #convertObject(value: object, path: string, depth: number): unknown {
    this.#meter.bytes += 5;
    if (Array.isArray(value)) return this.#convertList(value, path, depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === Object.prototype || prototype === null)
      return this.#convertMap(value, path, depth, prototype === null);
    if (types.isDate(value) || types.isUint8Array(value)) {
      if (this.#json)
        refuse(path, 'JSON has no dates and bytes: store text, or use values: "msgpack"');
      if (types.isDate(value)) {
        if (Number.isNaN(value.getTime())) refuse(path, "an invalid date cannot be stored");
        this.#meter.bytes += 15;
        return value;
      }
      this.#meter.bytes += value.length;
      return value instanceof Buffer ? new Uint8Array(value) : value;
    }
    const name: unknown = value.constructor?.name;
    return refuse(
      path,
      `an instance of ${typeof name === "string" ? name : "a class"} cannot be stored; turn it into plain data`,
    );
  }

  #convertList(list: readonly unknown[], path: string, depth: number): readonly unknown[] {
    let copy: unknown[] | undefined;
    for (let at = 0; at < list.length; at++) {
      const element = list[at] ?? null;
      const converted = this.convert(element, path, depth + 1);
      if (copy === undefined && !Object.is(converted, list[at])) copy = list.slice(0, at);
      copy?.push(converted);
    }
    return copy ?? list;
  }

  /** A map without a prototype comes back with one. */
  #convertMap(object: object, path: string, depth: number, bare: boolean): object {
    let changed = bare;
    const entries: [string, unknown][] = [];
    for (const [key, value] of Object.entries(object)) {
      if (value === undefined) {
        changed = true;
        continue;
      }
      const place = `${path}.${key}`;
      if (key === "__proto__") refuse(place, "a key __proto__ cannot be stored");
      if (!isWellFormed(key)) refuse(place, "a key with a lone surrogate cannot be stored");
      this.#meter.bytes += 3 + this.#textBytes(key);
      const converted = this.convert(value, place, depth + 1);
      if (!Object.is(converted, value)) changed = true;
      entries.push([key, converted]);
    }
    return changed ? Object.fromEntries(entries) : object;
  }
}

function sizeOf(value: bigint): number {
  return value.toString(16).length >> 1;
}

function refuse(path: string, reason: string): never {
  throw new UnserialisableValueError(path, reason);
}
