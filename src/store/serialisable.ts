import { types } from "node:util";
import { UnserialisableValueError } from "../errors.ts";
import { BigInteger } from "../internal/big-integer.ts";
import { isWellFormed } from "../internal/well-formed.ts";

/** How deep values may be nested: a scalar has depth 0, the list that holds it 1. */
export const maxDepth = 100;

const tooDeep = `nested deeper than ${maxDepth} levels, or contains itself`;
const loneSurrogate = "a string with a lone surrogate cannot be stored (it has no UTF-8)";

/** Why a value cannot be stored, and the steps that lead to it, innermost first. */
class Refusal extends Error {
  readonly steps: (string | number)[] = [];
}

/**
 * The value in the form that the encoder takes: itself where it is plain data throughout, else a
 * copy of the containers in which something differs (big integers are wrapped, properties that are
 * undefined are left out, elements that are undefined are null).
 *
 * Getters are called here and again by the encoder, and are expected to return the same.
 *
 * @throws {UnserialisableValueError} with the path of what has no stored form, below the part of the
 * event `index`, or of the commit where there is none
 */
export function serialisable(
  value: unknown,
  part: "data" | "metadata",
  index: number | undefined,
): unknown {
  try {
    return convert(value, 0);
  } catch (error) {
    if (error instanceof Refusal) {
      const path = pathOf(rootPath(part, index), error.steps);
      throw new UnserialisableValueError(path, error.message);
    }
    throw error;
  }
}

/** Where a part of the event `index`, or of the commit, stands: `events[0].data`, `metadata`. */
export function rootPath(part: "data" | "metadata", index: number | undefined): string {
  return index === undefined ? part : `events[${index}].${part}`;
}

function convert(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case "number":
    case "boolean":
      return value;
    case "string":
      if (!isWellFormed(value)) throw new Refusal(loneSurrogate);
      return value;
    case "object":
      return value === null ? null : convertObject(value, depth);
    case "undefined":
      return null;
    case "bigint":
      return new BigInteger(value);
    default:
      throw new Refusal(`a ${typeof value} cannot be stored`);
  }
}

function convertObject(value: object, depth: number): unknown {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return convertMap(value, depth);
  if (Array.isArray(value)) return convertList(value, depth);
  if (types.isUint8Array(value)) {
    // of another realm it is none to the encoder
    const { buffer, byteOffset, byteLength } = value;
    return value instanceof Uint8Array ? value : new Uint8Array(buffer, byteOffset, byteLength);
  }
  if (types.isDate(value)) {
    if (Number.isNaN(value.getTime())) throw new Refusal("an invalid date cannot be stored");
    return prototype === Date.prototype ? value : new Date(value.getTime());
  }
  if (isRootPrototype(prototype)) return convertMap(value, depth);
  throw new Refusal(`${describe(value)} cannot be stored; turn it into plain data`);
}

function convertList(list: readonly unknown[], depth: number): readonly unknown[] {
  if (depth >= maxDepth) throw new Refusal(tooDeep);
  let copy: unknown[] | undefined;
  let at = 0;
  try {
    for (; at < list.length; at++) {
      const element = list[at];
      const converted = convert(element, depth + 1);
      if (copy === undefined && !Object.is(converted, element)) copy = list.slice(0, at);
      copy?.push(converted);
    }
  } catch (error) {
    throw located(error, at);
  }
  return copy ?? list;
}

function convertMap(object: object, depth: number): object {
  if (depth >= maxDepth) throw new Refusal(tooDeep);
  const entries = object as Readonly<Record<string, unknown>>;
  const keys = Object.keys(entries);
  let copy: Record<string, unknown> | undefined;
  let key = "";
  try {
    for (let at = 0; at < keys.length; at++) {
      key = keys[at] ?? "";
      const value = entries[key];
      if (value === undefined) {
        copy ??= firstEntries(entries, keys, at);
        continue;
      }
      if (key === "__proto__") throw new Refusal("a key __proto__ cannot be stored");
      if (!isWellFormed(key)) throw new Refusal(loneSurrogate);
      const converted = convert(value, depth + 1);
      if (copy === undefined && !Object.is(converted, value)) {
        copy = firstEntries(entries, keys, at);
      }
      if (copy !== undefined) copy[key] = converted;
    }
  } catch (error) {
    throw located(error, key);
  }
  return copy ?? object;
}

function firstEntries(
  entries: Readonly<Record<string, unknown>>,
  keys: readonly string[],
  count: number,
): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (let at = 0; at < count; at++) {
    const key = keys[at] ?? "";
    copy[key] = entries[key];
  }
  return copy;
}

function located(error: unknown, step: string | number): unknown {
  if (error instanceof Refusal) error.steps.push(step);
  return error;
}

function pathOf(root: string, steps: readonly (string | number)[]): string {
  let path = root;
  for (const step of steps.toReversed()) {
    if (path.length > 200) return `${path}…`;
    if (typeof step === "number") path += `[${step}]`;
    else path += /^[A-Za-z_$][\w$]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  }
  return path;
}

/** Whether it is the `Object.prototype` of another realm (node:vm, some test runners). */
function isRootPrototype(prototype: unknown): boolean {
  return (
    typeof prototype === "object" &&
    prototype !== null &&
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype, "isPrototypeOf")
  );
}

function describe(value: object): string {
  const name: unknown = value.constructor?.name;
  return `an instance of ${typeof name === "string" && name !== "" ? name : "an unnamed class"}`;
}
