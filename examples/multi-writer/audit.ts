import type { Claim } from "../lib/proof.ts";
import { ACTOR_TYPE, eventOf, type LogRow } from "./event-log.ts";

/** What is looked at of a stored event. */
export interface StoredEvent {
  readonly actor: { readonly type: string; readonly id: string };
  readonly version: number;
  readonly position: number;
  readonly type: string;
  readonly data: unknown;
}

/** Compares the stored events, in the order of the stream, with the log they should come from. No I/O. */
export class Audit {
  readonly #rows: readonly LogRow[];
  /** Positions at which each row was found. */
  readonly #found = new Map<LogRow, number[]>();
  readonly #versions = new Map<string, number>();
  readonly #gaps: string[] = [];
  readonly #strangers: string[] = [];
  readonly #misplaced: string[] = [];
  #events = 0;

  constructor(rows: readonly LogRow[]) {
    this.#rows = rows;
  }

  get events(): number {
    return this.#events;
  }

  get actors(): number {
    return this.#versions.size;
  }

  /** Takes the next event of the stream. */
  take(event: StoredEvent): void {
    this.#events++;
    const { actor, version, position } = event;
    const name = `${actor.type}/${actor.id}`;
    const expected = (this.#versions.get(name) ?? 0) + 1;
    if (version !== expected) {
      this.#gaps.push(
        `${name}: version ${version} stands where ${expected} belongs (position ${position})`,
      );
    }
    this.#versions.set(name, version);
    const row = this.#rowOf(event);
    if (row === undefined) {
      this.#strangers.push(`position ${position}: ${name} "${event.type}" is no row of the log`);
      return;
    }
    this.#found.set(row, [...(this.#found.get(row) ?? []), position]);
    if (row.version !== version) {
      this.#misplaced.push(
        `row ${row.number} is number ${row.version} of ${name}, but has version ${version} (position ${position})`,
      );
    }
  }

  /** What has been shown, after the last event. */
  claims(): Claim[] {
    const lost: string[] = [];
    const doubled: string[] = [];
    for (const row of this.#rows) {
      const positions = this.#found.get(row) ?? [];
      if (positions.length === 0) lost.push(`row ${row.number} of ${row.actorId} is missing`);
      if (positions.length > 1) {
        doubled.push(`row ${row.number} stands ${positions.length} times: ${positions.join(", ")}`);
      }
    }
    return [
      { text: "versions are dense: each actor counts 1, 2, 3 …", violations: this.#gaps },
      { text: "every row of the log is there", violations: lost },
      { text: "no row is there twice", violations: doubled },
      { text: "nothing else is there", violations: this.#strangers },
      { text: "each actor's events stand in the order of the log", violations: this.#misplaced },
    ];
  }

  /** The row that the event tells of: not by its word alone, all that was stored of the row must be the same. */
  #rowOf(event: StoredEvent): LogRow | undefined {
    const { data } = event;
    const number: unknown = isObject(data) ? Reflect.get(data, "row") : undefined;
    const row = typeof number === "number" ? this.#rows[number - 1] : undefined;
    if (row === undefined || !isObject(data)) return undefined;
    const wanted = eventOf(row);
    const same =
      event.actor.type === ACTOR_TYPE &&
      event.actor.id === row.actorId &&
      event.type === wanted.type &&
      Object.entries(wanted.data).every(([key, value]) => Reflect.get(data, key) === value);
    return same ? row : undefined;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
