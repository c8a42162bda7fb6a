import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));
const edges = ["server", "testing", "otel", "cli"];
const layers = ["internal", "nats", "store", "projection", "actor", "ledger", ...edges];
/** What else somebody could import. */
const others: Readonly<Record<string, string>> = {
  entry: "../index.ts",
  errors: "../errors.ts",
  client: "@nats-io/nats-core",
};

/** What each layer may import, according to docs/architecture.md. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  internal: [],
  nats: ["internal", "errors", "client"],
  store: ["internal", "nats", "errors"],
  projection: ["internal", "nats", "store", "errors"],
  actor: ["internal", "nats", "store", "errors"],
  ledger: ["internal", "nats", "store", "projection", "errors"],
  server: ["internal", "errors"],
};

let folder: string;
/** `<layer>/<what it imports>` of the imports that the lint rules refuse. */
let refused: Set<string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "annal-layers-"));
  await copyFile(join(root, ".oxlintrc.json"), join(folder, ".oxlintrc.json"));
  const targets = {
    ...others,
    ...Object.fromEntries(layers.map((to) => [to, `../${to}/thing.ts`])),
  };
  for (const layer of layers) {
    await mkdir(join(folder, "src", layer), { recursive: true });
    for (const [name, path] of Object.entries(targets)) {
      const source = `import { thing } from "${path}";\nexport const used = thing;\n`;
      await writeFile(join(folder, "src", layer, `${name}.ts`), source);
    }
  }
  const { diagnostics } = JSON.parse(await lint()) as {
    diagnostics: readonly { readonly code: string; readonly filename: string }[];
  };
  const restricted = diagnostics.filter(({ code }) => code.includes("no-restricted-imports"));
  refused = new Set(
    restricted.map(({ filename }) => filename.replace(/^src\//, "").replace(/\.ts$/, "")),
  );
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** The linter exits with 1 because it finds what it should. */
function lint(): Promise<string> {
  const binary = join(root, "node_modules", ".bin", "oxlint");
  return new Promise((resolve) => {
    execFile(binary, ["-f", "json", "src"], { cwd: folder, maxBuffer: 1 << 24 }, (_, output) =>
      resolve(output),
    );
  });
}

describe("the lint rules of the layers", () => {
  it.each(Object.entries(allowed))("let %s import %j and nothing else", (layer, imports) => {
    const offered = [...layers, ...Object.keys(others)].filter((name) => name !== layer);
    const passed = offered.filter((name) => !refused.has(`${layer}/${name}`));
    expect(passed.sort()).toEqual([...imports].sort());
  });

  it.each(["testing", "otel"])("keep %s from the client library and the public entry", (edge) => {
    expect(refused).toContain(`${edge}/client`);
    expect(refused).toContain(`${edge}/entry`);
  });
});
