/** Two command ids with the same FNV-1a hash of 32 bits: about one in 77,000 names has a partner among those before it. */
export function collidingIds(): readonly [string, string] {
  const known = new Map<number, string>();
  for (let at = 0; ; at++) {
    const id = `command-${at}`;
    const hash = fnv1a(id);
    const other = known.get(hash);
    if (other !== undefined) return [other, id];
    known.set(hash, id);
  }
}

/** As http://www.isthe.com/chongo/tech/comp/fnv/ has it. */
export function fnv1a(text: string): number {
  let hash = 2_166_136_261;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 16_777_619) >>> 0;
  }
  return hash;
}
