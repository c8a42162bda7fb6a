// Imports every entry of the package as it was built: what only fails when it is compiled is found here.
import { readFileSync } from "node:fs";

const { exports } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
for (const entry of Object.values(exports)) {
  if (typeof entry === "string") continue;
  const module = await import(new URL(`../${entry.default}`, import.meta.url).href);
  if (Object.keys(module).length === 0) throw new Error(`${entry.default} exports nothing`);
}
