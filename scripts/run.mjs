// Runs a TypeScript file of one folder by its name: node scripts/run.mjs examples multi-writer --writers 4
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const [folder = "examples", ...given] = process.argv.slice(2);
// Without a name, the folder's main.ts, if it has one.
const unnamed = given[0] === undefined || given[0].startsWith("-");
const hasMain = existsSync(join(root, folder, "main.ts"));
const [name, ...rest] = unnamed && hasMain ? ["main", ...given] : given;
const candidates = name === undefined ? [] : [`${name}.ts`, join(name, "main.ts")];
const file = candidates.map((path) => join(root, folder, path)).find((path) => existsSync(path));
if (file === undefined) {
  const names = readdirSync(join(root, folder), { withFileTypes: true })
    .filter(
      (entry) =>
        entry.name.endsWith(".ts") || existsSync(join(root, folder, entry.name, "main.ts")),
    )
    .map((entry) => entry.name.replace(/\.ts$/, ""));
  console.error(
    `${name === undefined ? "Name one" : `There is no "${name}"`} in ${folder}/: ${names.join(", ")}`,
  );
  process.exit(2);
}
const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), file, ...rest], {
  stdio: "inherit",
  env: { TSX_TSCONFIG_PATH: join(root, "tsconfig.json"), ...process.env },
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
