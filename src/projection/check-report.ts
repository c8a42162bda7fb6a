import { toJson } from "../internal/json.ts";

/** What a check found at one entry. */
export interface CheckFinding {
  /**
   * `missing`: the stream says that it is there; `injected`: the stream does not say so; `different`: it is there, and
   * not as the stream says.
   */
  readonly kind: "missing" | "injected" | "different";
  /** Table of the entry; undefined for one that belongs to no table, such as the checkpoint. */
  readonly table?: string | undefined;
  /** Id of the entry in its table; the bucket's key where it belongs to none. */
  readonly key: string;
  /** The value by the stream, in the form of `toJson`; a long one is cut to text. Undefined where there is to be none. */
  readonly expected?: unknown;
  /** The value that stands there, in the same form; undefined where there is none, and where it cannot be read. */
  readonly found?: unknown;
  /** Position of the commit that changed the key last, by the stream; undefined where none ever did. */
  readonly position?: number | undefined;
  /** What the two values do not show. */
  readonly reason?: string | undefined;
}

/** What a check came to: plain data, made for JSON. */
export interface CheckReport {
  readonly projection: string;
  readonly version: number;
  /** The bucket that was checked. */
  readonly bucket: string;
  /** Position of the checkpoint that stood in the bucket when the check began. */
  readonly position: number;
  /**
   * `clean`: every entry is as the stream says; `findings`: some are not; `incomplete`: it cannot be said, see `reason`.
   */
  readonly outcome: "clean" | "findings" | "incomplete";
  /** Why not everything was compared. */
  readonly reason?: string | undefined;
  /** The first of them, up to `maxFindings`. */
  readonly findings: readonly CheckFinding[];
  /** All that there were. */
  readonly findingCount: number;
  /** Keys that were compared, findings included. */
  readonly checkedKeys: number;
  /** How often the bucket's entries were looked at: 1 where nothing had to be looked at again. */
  readonly passes: number;
  /** Keys that moved on with every look, so that nothing can be said of them. */
  readonly unsettled: number;
  readonly durationMs: number;
}

/** A finding with the values as they are. */
export interface RawFinding {
  readonly kind: CheckFinding["kind"];
  /** Key of the entry in the bucket. */
  readonly entry: string;
  readonly table?: string | undefined;
  readonly key: string;
  readonly expected?: unknown;
  readonly found?: unknown;
  readonly position?: number | undefined;
  readonly reason?: string | undefined;
}

/** Characters of JSON of one value in a report. */
const MAX_VALUE_CHARACTERS = 4_096;

/** The findings of a check, so many of them as are kept. */
export class Findings {
  readonly #limit: number;
  readonly #kept = new Map<string, CheckFinding>();
  #count = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get count(): number {
    return this.#count;
  }

  get kept(): readonly CheckFinding[] {
    return [...this.#kept.values()];
  }

  /** Takes a finding; a later one of the same entry replaces it. */
  add({ entry, kind, table, key, expected, found, position, reason }: RawFinding): void {
    if (!this.#kept.has(entry)) {
      this.#count++;
      if (this.#kept.size >= this.#limit) return;
    }
    const shown = { expected: shownValue(expected), found: shownValue(found) };
    const alike =
      expected !== undefined && toJson(expected) === toJson(found) && reason === undefined;
    const why = alike ? "the values have the same JSON, and other types" : reason;
    this.#kept.set(entry, { kind, table, key, ...shown, position, reason: why });
  }

  /** Forgets all of them: what they were compared with does not hold. */
  clear(): void {
    this.#kept.clear();
    this.#count = 0;
  }
}

/** A value as JSON would give it back. */
function shownValue(value: unknown): unknown {
  if (value === undefined) return undefined;
  const text = toJson(value);
  if (text.length > MAX_VALUE_CHARACTERS) return `${text.slice(0, MAX_VALUE_CHARACTERS)}…`;
  const shown: unknown = JSON.parse(text);
  return shown;
}
