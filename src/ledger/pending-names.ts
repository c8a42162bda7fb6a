import type { Decided } from "./decided.ts";
import { NameTable } from "./name-table.ts";

/** The idempotency keys and references of one commit. */
export class CommitNames {
  readonly keys: NameTable<Decided> = new NameTable();
  readonly references: NameTable<Decided> = new NameTable();
}

/**
 * The idempotency keys and references of what was decided and is not acknowledged yet, with what their commands came to.
 * A few commits, each of which is dropped as a whole; what the running command noted can be taken back.
 */
export class PendingNames {
  readonly #closed: CommitNames[] = [];
  #open = new CommitNames();
  readonly #before = { keys: 0, references: 0 };

  byKey(fingerprint: number, key: string): Decided | undefined {
    const found = this.#open.keys.find(fingerprint, key);
    if (found !== undefined) return found;
    for (const { keys } of this.#closed) {
      const closed = keys.find(fingerprint, key);
      if (closed !== undefined) return closed;
    }
    return undefined;
  }

  byReference(fingerprint: number, reference: string): Decided | undefined {
    const found = this.#open.references.find(fingerprint, reference);
    if (found !== undefined) return found;
    for (const { references } of this.#closed) {
      const closed = references.find(fingerprint, reference);
      if (closed !== undefined) return closed;
    }
    return undefined;
  }

  addKey(fingerprint: number, key: string, decided: Decided): void {
    this.#open.keys.add(fingerprint, key, decided);
  }

  addReference(fingerprint: number, reference: string, decided: Decided): void {
    this.#open.references.add(fingerprint, reference, decided);
  }

  /** Begins a command, whose names {@link undo} takes back. */
  begin(): void {
    this.#before.keys = this.#open.keys.size;
    this.#before.references = this.#open.references.size;
  }

  undo(): void {
    this.#open.keys.cutTo(this.#before.keys);
    this.#open.references.cutTo(this.#before.references);
  }

  /** Ends the open commit, and begins the next one. @returns undefined where it has no names */
  close(): CommitNames | undefined {
    const closed = this.#open;
    if (closed.keys.size + closed.references.size === 0) return undefined;
    this.#closed.push(closed);
    this.#open = new CommitNames();
    return closed;
  }

  /** A closed commit is pending no more. */
  drop(names: CommitNames): void {
    const at = this.#closed.indexOf(names);
    if (at < 0) throw new TypeError("names of no closed commit");
    this.#closed.splice(at, 1);
  }

  /** None is pending any more. */
  clear(): void {
    this.#closed.length = 0;
    this.#open = new CommitNames();
  }
}
