import type { Claim } from "../lib/proof.ts";
import { formatCount } from "../lib/table.ts";
import type { Answer, Share } from "./messages.ts";

/** An entry of the journal as its stream shows it. */
export interface StoredEntry {
  readonly position: number;
  readonly index: number;
  readonly version: number;
  readonly type: string;
  readonly key: string | undefined;
}

/** What each kind of command stands in the journal as. */
const TYPES: Readonly<Record<Answer["kind"], string>> = {
  transfer: "TransactionPosted",
  capture: "TransactionPosted",
  revert: "TransactionPosted",
  hold: "HoldPlaced",
  release: "HoldReleased",
};

/** Compares the journal, entry by entry, with what the writers were told. No I/O. */
export class Audit {
  readonly #writers: number;
  readonly #killed: ReadonlySet<number>;
  readonly #answers = new Map<string, Answer>();
  readonly #entries = new Map<string, StoredEntry>();
  readonly #doubled: string[] = [];
  readonly #gaps: string[] = [];
  readonly #shares: { transactions: number; entries: number; commits: number }[];
  #version = 0;
  #commits = 0;
  #position = 0;

  constructor(
    { writers, killed }: { readonly writers: number; readonly killed: readonly number[] },
    answers: readonly Answer[],
  ) {
    this.#writers = writers;
    this.#killed = new Set(killed);
    for (const answer of answers) this.#answers.set(answer.key, answer);
    this.#shares = Array.from({ length: writers }, () => ({
      transactions: 0,
      entries: 0,
      commits: 0,
    }));
  }

  get entries(): number {
    return this.#version;
  }

  get commits(): number {
    return this.#commits;
  }

  /** Of each writer. */
  get shares(): readonly Share[] {
    return this.#shares;
  }

  /** Takes the next entry of the journal. */
  take(entry: StoredEntry): void {
    const { position, version, type, key } = entry;
    if (version !== this.#version + 1)
      this.#gaps.push(`entry ${version} stands where ${this.#version + 1} belongs`);
    this.#version = version;
    const isNewCommit = position !== this.#position;
    this.#position = position;
    if (isNewCommit) this.#commits++;
    if (key === undefined) return;
    const first = this.#entries.get(key);
    if (first !== undefined)
      this.#doubled.push(`${key} stands at ${idOf(first)} and at ${idOf(entry)}`);
    this.#entries.set(key, entry);
    const share = this.#shares[writerOf(key)];
    if (share === undefined) return;
    share.entries++;
    if (type === "TransactionPosted") share.transactions++;
    if (isNewCommit) share.commits++;
  }

  /** Entries of killed writers whose acknowledgement was never heard of. */
  get unheard(): number {
    let unheard = 0;
    for (const key of this.#entries.keys())
      if (!this.#answers.has(key) && this.#killed.has(writerOf(key))) unheard++;
    return unheard;
  }

  /** What has been shown, after the last entry. */
  claims(): Claim[] {
    const lost: string[] = [];
    const refused: string[] = [];
    for (const answer of this.#answers.values()) {
      const entry = this.#entries.get(answer.key);
      if (answer.id === undefined) {
        if (entry !== undefined) refused.push(`${answer.key} stands at ${idOf(entry)}`);
        continue;
      }
      const found = entry === undefined ? "nowhere" : `${idOf(entry)}, a ${entry.type}`;
      if (entry?.version === answer.version && found === `${answer.id}, a ${TYPES[answer.kind]}`)
        continue;
      lost.push(`${answer.key}: acknowledged at ${answer.id}, found ${found}`);
    }
    const strangers = [...this.#entries.values()].filter(({ key = "" }) => {
      const writer = writerOf(key);
      if (writer >= this.#writers) return true;
      return !this.#answers.has(key) && !this.#killed.has(writer);
    });
    const acknowledged = [...this.#answers.values()].filter(({ id }) => id !== undefined).length;
    return [
      { text: "the journal's entries are numbered without a gap", violations: this.#gaps },
      {
        text: `each of ${formatCount(acknowledged)} acknowledged commands stands where its answer said`,
        violations: lost,
      },
      { text: "none stands there twice", violations: this.#doubled },
      {
        text: `none of ${formatCount(this.#answers.size - acknowledged)} refused commands is there`,
        violations: refused,
      },
      {
        text: "the processes that were not killed have nothing there that they do not know of",
        violations: strangers.map((entry) => `${entry.key} at ${idOf(entry)}`),
      },
    ];
  }
}

/** Number of the writer whose key it is; NaN for nobody's. */
function writerOf(key: string): number {
  return Number(/^w(\d+)-\d+$/.exec(key)?.[1]);
}

function idOf({ position, index }: StoredEntry): string {
  return `${position}.${index}`;
}
