import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { onTestFinished } from "vitest";

/**
 * A copy of a fixture, for the running test, in which texts are replaced where they stand first.
 *
 * @param changes what is there, and what shall be there instead
 * @throws {Error} where a text is not there
 */
export function changedFixture(
  path: string,
  changes: readonly (readonly [from: string, to: string])[],
): string {
  const folder = mkdtempSync(join(tmpdir(), "annal-fixture-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  let text = readFileSync(path, "utf8");
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`${path} has no ${from}`);
    text = text.replace(from, to);
  }
  const file = join(folder, basename(path));
  writeFileSync(file, text);
  return file;
}
