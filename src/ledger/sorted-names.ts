/** Names in the order of their UTF-16 code units; what was added since the last look is sorted in when somebody looks. */
export class SortedNames {
  #sorted: readonly string[] = [];
  #added: string[] = [];

  add(name: string): void {
    this.#added.push(name);
  }

  /** All of them; not to be changed. */
  all(): readonly string[] {
    if (this.#added.length === 0) return this.#sorted;
    const added = this.#added.sort();
    const merged: string[] = [];
    let at = 0;
    for (const name of this.#sorted) {
      for (let next = added[at]; next !== undefined && next < name; next = added[++at])
        merged.push(next);
      merged.push(name);
    }
    for (; at < added.length; at++) merged.push(added[at] ?? "");
    this.#sorted = merged;
    this.#added = [];
    return merged;
  }

  /** Those that begin with a prefix and come after a name, in order. */
  *from(prefix: string, after: string | undefined): Generator<string, void, undefined> {
    const all = this.all();
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const name = all[middle] ?? "";
      if (name < prefix || (after !== undefined && name <= after)) low = middle + 1;
      else high = middle;
    }
    for (let at = low; at < all.length; at++) {
      const name = all[at] ?? "";
      if (!name.startsWith(prefix)) return;
      yield name;
    }
  }
}
