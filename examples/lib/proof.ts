import { formatCount } from "./table.ts";

/** How many violations of one claim are shown. */
const SHOWN = 5;

/** Something that must be so, and what speaks against it. */
export interface Claim {
  readonly text: string;
  readonly violations: readonly string[];
}

/** Prints each claim with a tick, or with a cross and what speaks against it. */
export function printClaims(claims: readonly Claim[]): void {
  for (const { text, violations } of claims) {
    console.log(`  ${violations.length === 0 ? "✓" : "✗"} ${text}`);
    for (const violation of violations.slice(0, SHOWN)) console.log(`      ${violation}`);
    const more = violations.length - SHOWN;
    if (more > 0) console.log(`      … and ${formatCount(more)} more`);
  }
}

/** Whether nothing speaks against any claim. */
export function holds(claims: readonly Claim[]): boolean {
  return claims.every(({ violations }) => violations.length === 0);
}
