import { AssertionError } from "node:assert";
import { InvalidArgumentError } from "../errors.ts";
import type { Projection, TableMap } from "../projection/definition.ts";
import type { EventMap, RecordedEvent } from "../store/event.ts";
import { assertFails, type ErrorClass, toError } from "./expected-error.ts";
import { compareTables, describeMismatches, type ExpectedTables } from "./expected-tables.ts";
import { type GivenEvent, recordEvents } from "./given-events.ts";
import { ProjectedState } from "./projected-state.ts";

/** What has happened before. Made by {@link given}. */
export class Given<Events extends EventMap, Tables extends TableMap> {
  readonly #projection: Projection<Events, Tables>;
  readonly #events: readonly RecordedEvent<Events>[];

  /** @internal see {@link given} */
  constructor(projection: Projection<Events, Tables>, events: readonly RecordedEvent<Events>[]) {
    this.#projection = projection;
    this.#events = events;
  }

  /**
   * What happens now.
   *
   * @throws {InvalidArgumentError}, {UnserialisableValueError} an event could not be appended
   */
  when(events: readonly GivenEvent<Events>[]): When<Events, Tables> {
    const all = [...this.#events, ...recordEvents(this.#events, events)];
    return new When(this.#projection, all);
  }
}

/** What happens, before it is said what should come of it. */
export class When<Events extends EventMap, Tables extends TableMap> {
  readonly #projection: Projection<Events, Tables>;
  readonly #events: readonly RecordedEvent<Events>[];

  /** @internal see {@link given} */
  constructor(projection: Projection<Events, Tables>, events: readonly RecordedEvent<Events>[]) {
    this.#projection = projection;
    this.#events = events;
  }

  /**
   * Asserts what stands in the tables then. Not to be awaited.
   *
   * @throws {AssertionError} naming each entry that is not as expected: table, key, expected and found value
   * @throws what the projection fails with
   */
  // oxlint-disable-next-line unicorn/no-thenable -- the word that everybody knows; an await is refused
  then(expected: ExpectedTables<Tables>): void {
    if (typeof expected !== "object" || expected === null) {
      throw new InvalidArgumentError("then", "the expected tables, and no await", expected);
    }
    const { tables } = this.#fold();
    const mismatches = compareTables(tables, expected);
    if (mismatches.length === 0) return;
    throw new AssertionError({
      message: describeMismatches(mismatches),
      expected: mismatches.map(({ expected: value }) => value),
      actual: mismatches.map(({ found }) => found),
      operator: "then",
    });
  }

  /**
   * Asserts that the projection fails: by an error of this class, or with such a message; the error's causes count too.
   *
   * @returns the error, such as the `ProjectionFailedError` that names the event
   * @throws {AssertionError} where it does not fail, or by another error
   */
  thenFails(expected: ErrorClass | RegExp): Error {
    const subject = `projection ${this.#projection.name}`;
    return assertFails(
      { subject, failure: this.#failure(), otherwise: "it did not fail" },
      expected,
    );
  }

  #fold(): ProjectedState<Events, Tables> {
    return new ProjectedState(this.#projection, this.#events);
  }

  #failure(): Error | undefined {
    try {
      this.#fold();
      return undefined;
    } catch (error) {
      return toError(error);
    }
  }
}
