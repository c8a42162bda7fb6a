/**
 * Which commits of an actor may have come of a command with an id: short hashes of the last ids, and where the commits
 * stand. A hash that agrees proves nothing; the commit is read. Two numbers an entry, because many actors have one.
 */
export class RecentCommands {
  readonly #capacity: number;
  /** Hash and position in turns. */
  readonly #places: number[];
  /** Where the next entry goes once all places are taken. */
  #next = 0;

  /** @param places as {@link toData} gave them, oldest first; those beyond the capacity are left out */
  constructor(capacity: number, places: readonly number[] = []) {
    this.#capacity = capacity * 2;
    this.#places = this.#capacity === 0 ? [] : places.slice(-this.#capacity);
  }

  /** Notes the commit of an id. */
  add(commitId: string, position: number): void {
    if (this.#capacity === 0 || isUnrepeatable(commitId)) return;
    const hash = hashOf(commandOf(commitId));
    if (this.#places.length < this.#capacity) {
      this.#places.push(hash, position);
      return;
    }
    this.#places[this.#next] = hash;
    this.#places[this.#next + 1] = position;
    this.#next = (this.#next + 2) % this.#capacity;
  }

  /** Positions of commits that may be of the command that was sent to the actor with this subject, the latest first. */
  find(commandId: string, subject: string): readonly number[] {
    if (this.#places.length === 0) return NOTHING;
    const alone = hashOf(commandOf(commandId));
    const shared = hashOf(sharedId(commandId, subject));
    let found: number[] | undefined;
    for (let at = 0; at < this.#places.length; at += 2) {
      const hash = this.#places[at];
      if (hash !== alone && hash !== shared) continue;
      found ??= [];
      found.push(this.#places[at + 1] ?? 0);
    }
    return found?.sort((a, b) => b - a) ?? NOTHING;
  }

  copy(): RecentCommands {
    return new RecentCommands(this.#capacity / 2, this.toData());
  }

  /** The entries, oldest first. */
  toData(): number[] {
    return [...this.#places.slice(this.#next), ...this.#places.slice(0, this.#next)];
  }
}

/** Begins the commit ids of commands without an id: nobody can repeat them. */
const UNREPEATABLE = "~";
/** Between the id of a command that appends to several actors, and the hash of the actor that decided it. */
const DECIDED_BY = "@";
const NOTHING: readonly number[] = [];
const partOfSeveral = /^(.+@[0-9a-z]{7})\/\d+$/;

/** The commit id of a command without an id of its own. */
export function unrepeatable(id: string): string {
  return `${UNREPEATABLE}${id}`;
}

export function isUnrepeatable(commitId: string): boolean {
  return commitId.startsWith(UNREPEATABLE);
}

/**
 * The commit id of a command that appends to several actors, without the number of the actor that an appendAll adds. It
 * names who decided, so that another actor may get a command with the same id.
 */
export function sharedId(commandId: string, subject: string): string {
  return `${commandId}${DECIDED_BY}${hashOf(subject).toString(36).padStart(7, "0")}`;
}

/** Whether the commit came of the command with this id, sent to the actor with this subject. */
export function isOfCommand(commitId: string, commandId: string, subject: string): boolean {
  return commitId === commandId || commandOf(commitId) === sharedId(commandId, subject);
}

/** The commit id without the number of an actor among several. */
function commandOf(commitId: string): string {
  // most are not: nothing is matched for them
  return commitId.includes(DECIDED_BY) ? (partOfSeveral.exec(commitId)?.[1] ?? commitId) : commitId;
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}
