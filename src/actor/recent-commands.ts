import { isMadeUp } from "../store/commit-id.ts";

/**
 * Which commits of an actor may have come of a command with an id: short hashes of the last ids, and where the commits
 * stand. A hash that agrees proves nothing; the commit is read. 12 bytes an entry, because many actors have one.
 */
export class RecentCommands {
  readonly #capacity: number;
  /** Three words an entry: hash, and position high and low. Grows with its entries. */
  #words = NO_WORDS;
  #size = 0;
  /** Number of the entry that goes next once there are as many as there may be. */
  #next = 0;

  /** @param places hash and position in turns, as {@link toData} gave them; of too many the last are taken */
  constructor(capacity: number, places: readonly number[] = []) {
    this.#capacity = capacity;
    const first = Math.max(0, places.length - 2 * capacity);
    for (let at = first; at < places.length; at += 2) {
      this.#put(places[at] ?? 0, places[at + 1] ?? 0);
    }
  }

  /**
   * Notes a commit of the actor with this subject, unless its id says that it came of no command, or of one that was sent
   * to another actor.
   */
  add(commitId: string, position: number, subject: string): void {
    if (this.#capacity === 0 || isMadeUp(commitId)) return;
    const shared = sharedPart(commitId);
    if (shared !== undefined && !shared.endsWith(decidedBy(subject))) return;
    this.#put(hashOf(shared ?? commitId), position);
  }

  /** Positions of commits that may be of the command that was sent to the actor with this subject, the latest first. */
  find(commandId: string, subject: string): readonly number[] {
    if (this.#size === 0) return NOTHING;
    const alone = hashOf(commandId);
    const shared = hashOf(sharedId(commandId, subject));
    let found: number[] | undefined;
    for (let at = 0; at < this.#size * WORDS; at += WORDS) {
      const hash = this.#words[at];
      if (hash !== alone && hash !== shared) continue;
      found ??= [];
      found.push(this.#positionAt(at));
    }
    return found?.sort((a, b) => b - a) ?? NOTHING;
  }

  copy(): RecentCommands {
    return new RecentCommands(this.#capacity, this.toData());
  }

  /** Hash and position in turns, oldest first. */
  toData(): number[] {
    const places: number[] = [];
    for (let count = 0; count < this.#size; count++) {
      const at = ((this.#next + count) % this.#size) * WORDS;
      places.push(this.#words[at] ?? 0, this.#positionAt(at));
    }
    return places;
  }

  #put(hash: number, position: number): void {
    const isFull = this.#size === this.#capacity;
    const at = (isFull ? this.#next : this.#size) * WORDS;
    if (isFull) this.#next = (this.#next + 1) % this.#capacity;
    else this.#size++;
    if (at === this.#words.length) this.#grow();
    this.#words[at] = hash;
    this.#words[at + 1] = Math.floor(position / 2 ** 32);
    this.#words[at + 2] = position;
  }

  #grow(): void {
    const entries = Math.min(this.#capacity, Math.max(FIRST_ENTRIES, 2 * this.#size));
    const words = new Uint32Array(entries * WORDS);
    words.set(this.#words);
    this.#words = words;
  }

  #positionAt(at: number): number {
    return (this.#words[at + 1] ?? 0) * 2 ** 32 + (this.#words[at + 2] ?? 0);
  }
}

const WORDS = 3;
const NO_WORDS = new Uint32Array(0);
const FIRST_ENTRIES = 4;
const NOTHING: readonly number[] = [];
/** Between the id of a command that appends to several actors, and the hash of the actor that decided it. */
const DECIDED_BY = "@";
const partOfSeveral = /^(.+@[0-9a-z]{14})\/\d+$/;

/**
 * The commit id of a command that appends to several actors, without the number of the actor that an appendAll adds. It
 * names who decided, so that another actor may get a command with the same id.
 */
export function sharedId(commandId: string, subject: string): string {
  return `${commandId}${decidedBy(subject)}`;
}

/** Whether the id looks like that of one actor among several, by which a command of its own would not be found again. */
export function isShared(commitId: string): boolean {
  return sharedPart(commitId) !== undefined;
}

/** Whether the commit came of the command with this id, sent to the actor with this subject. */
export function isOfCommand(commitId: string, commandId: string, subject: string): boolean {
  return commitId === commandId || sharedPart(commitId) === sharedId(commandId, subject);
}

/** The commit id of one actor among several, without its number; undefined for others. */
function sharedPart(commitId: string): string | undefined {
  // most are not: nothing is matched for them
  return commitId.includes(DECIDED_BY) ? partOfSeveral.exec(commitId)?.[1] : undefined;
}

/** 14 digits that stand for an actor. */
function decidedBy(subject: string): string {
  return `${DECIDED_BY}${digits(hashOf(subject))}${digits(hashOf(subject, OTHER_BASIS))}`;
}

function digits(hash: number): string {
  return hash.toString(36).padStart(7, "0");
}

const FNV_BASIS = 0x811c9dc5;
const OTHER_BASIS = 0x01234567;

/** FNV-1a, 32 bits, over UTF-16 code units. */
function hashOf(text: string, basis = FNV_BASIS): number {
  let hash = basis;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}
