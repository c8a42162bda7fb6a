/** A commit of a journal as the server gives it to anybody. */
export interface ChainedCommit {
  readonly position: number;
  /** Of its last entry. */
  readonly version: number;
  readonly commitId: string;
  readonly payload: Uint8Array;
  /** The hash that its header states, in hexadecimal. */
  readonly hash: string;
}

/** The hash that follows from the one before it; `chainHash` of `annal/ledger`. */
export type ChainHash = (
  previous: string,
  version: number,
  commitId: string,
  payload: Uint8Array,
) => string;

/** Follows a journal's hash chain from its first commit on. No I/O. */
export class HashChain {
  readonly #hashOf: ChainHash;
  readonly #violations: string[] = [];
  #previous = "0".repeat(64);
  #version = 0;
  #commits = 0;

  constructor(hashOf: ChainHash) {
    this.#hashOf = hashOf;
  }

  get commits(): number {
    return this.#commits;
  }

  /** What speaks against it. */
  get violations(): readonly string[] {
    return this.#commits === 0 ? ["there is no commit"] : this.#violations;
  }

  /** Takes the next commit. */
  take({ position, version, commitId, payload, hash }: ChainedCommit): void {
    this.#commits++;
    if (!(version > this.#version))
      this.#violations.push(`position ${position}: version ${version} behind ${this.#version}`);
    this.#version = version;
    const found = this.#hashOf(this.#previous, version, commitId, payload);
    if (found !== hash) this.#violations.push(`position ${position}: ${found}, stated is ${hash}`);
    this.#previous = hash;
  }
}
