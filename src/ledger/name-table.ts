const LEAST_ENTRIES = 8;
/** More slots than entries by this at least: probes stay short. */
const SLOTS_PER_ENTRY = 2;
const NO_FINGERPRINTS = new Float64Array();
const ONE_FREE_SLOT = new Int32Array(1);

/**
 * Finds what was noted under a text by the text's fingerprint, which is known already: texts are compared only where two
 * have the same one. Open addressing with linear probing; to be dropped as a whole, but for what was noted last.
 */
export class NameTable<Value> {
  #fingerprints = NO_FINGERPRINTS;
  /** 1 + the number of an entry. */
  #slots = ONE_FREE_SLOT;
  readonly #texts: string[] = [];
  readonly #values: Value[] = [];

  /** How many texts were noted. */
  get size(): number {
    return this.#texts.length;
  }

  /** Notes a text that was not noted before. */
  add(fingerprint: number, text: string, value: Value): void {
    const entry = this.#texts.length;
    if (entry === this.#fingerprints.length) this.#grow();
    this.#fingerprints[entry] = fingerprint;
    this.#texts.push(text);
    this.#values.push(value);
    occupy(this.#slots, fingerprint, entry);
  }

  find(fingerprint: number, text: string): Value | undefined {
    const slots = this.#slots;
    const mask = slots.length - 1;
    for (let at = fingerprint & mask; ; at = (at + 1) & mask) {
      const slot = slots[at];
      if (slot === undefined || slot === 0) return undefined;
      const entry = slot - 1;
      if (this.#fingerprints[entry] === fingerprint && this.#texts[entry] === text)
        return this.#values[entry];
    }
  }

  /** Forgets what was noted last, until so many are left. */
  cutTo(size: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    // from the last one on: no probe for another one leads across its slot
    for (let entry = this.#texts.length - 1; entry >= size; entry--) {
      let at = (this.#fingerprints[entry] ?? 0) & mask;
      while (slots[at] !== entry + 1) at = (at + 1) & mask;
      slots[at] = 0;
      this.#texts.pop();
      this.#values.pop();
    }
  }

  /** All in the order in which they were noted. */
  forEach(see: (fingerprint: number, value: Value) => void): void {
    this.#values.forEach((value, entry) => see(this.#fingerprints[entry] ?? 0, value));
  }

  #grow(): void {
    const room = Math.max(this.#fingerprints.length * 2, LEAST_ENTRIES);
    const fingerprints = new Float64Array(room);
    fingerprints.set(this.#fingerprints);
    const slots = new Int32Array(room * SLOTS_PER_ENTRY);
    // in their order, as `cutTo` expects them
    for (let entry = 0; entry < this.size; entry++) occupy(slots, fingerprints[entry] ?? 0, entry);
    this.#fingerprints = fingerprints;
    this.#slots = slots;
  }
}

function occupy(slots: Int32Array, fingerprint: number, entry: number): void {
  const mask = slots.length - 1;
  let at = fingerprint & mask;
  while (slots[at] !== 0) at = (at + 1) & mask;
  slots[at] = entry + 1;
}
