import { readdir, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { readConfig } from "../../../examples/microservice/config.ts";

const root = new URL("../../../", import.meta.url);
const text = (path: string): Promise<string> => readFile(new URL(path, root), "utf8");

describe("docker/compose.microservice.yaml", () => {
  it("includes the cluster, waits for all its nodes, and publishes on loopback only", async () => {
    const compose = await text("docker/compose.microservice.yaml");
    const cluster = await text("docker/compose.cluster.yaml");
    expect(compose).toMatch(/^include:\n {2}- compose\.cluster\.yaml$/m);
    const nodes = [...cluster.matchAll(/^ {2}(nats-\d):$/gm)].map(([, name]) => name);
    expect(nodes).toHaveLength(3);
    for (const node of nodes) {
      expect(compose).toContain(`${node}: { condition: service_healthy }`);
      expect(compose).toContain(`nats://${node}:4222`);
    }
    const ports = [...compose.matchAll(/^ {4}ports: \["(.*)"\]$/gm)].map(([, port]) => port);
    expect(ports).toEqual(["127.0.0.1:8081:8080", "127.0.0.1:8082:8080", "127.0.0.1:8083:8080"]);
  });

  it("configures the service, and gives it the time to end that it may take", async () => {
    const compose = await text("docker/compose.microservice.yaml");
    const variables = [...compose.matchAll(/^ {4}([A-Z_]+): (\S+)$/gm)];
    const env = Object.fromEntries(variables.map(([, name = "", value = ""]) => [name, value]));
    const config = readConfig(env);
    expect(config).toMatchObject({ stream: "ACCOUNTS", replicas: 3, drainDelayMs: 1_000 });
    expect(config.servers).toHaveLength(3);
    // what is misspelt would be passed over
    const known = await text("examples/microservice/config.ts");
    for (const name of Object.keys(env)) expect(known).toContain(`"${name}"`);
    const grace = Number(/^ {2}stop_grace_period: (\d+)s$/m.exec(compose)?.[1]);
    const { drainDelayMs, drainTimeoutMs, commandTimeoutMs } = config;
    // a host that closes writes snapshots for ten seconds at most, after the commands under way
    const longest = drainDelayMs + drainTimeoutMs + commandTimeoutMs + 10_000;
    expect(grace * 1_000).toBeGreaterThan(longest);
  });

  it.each(["compose.microservice.yaml", "microservice.Dockerfile"])(
    "docker/%s names no registry and has no tabs",
    async (file) => {
      const content = await text(`docker/${file}`);
      expect(content).not.toContain("\t");
      const images = content.matchAll(/(?:image: |NODE_IMAGE=|NODE_IMAGE:-)([\w./:-]+)/g);
      const names = [...images].map(([, name = ""]) => name);
      expect(names.length).toBeGreaterThan(0);
      // a name with a dot or a port before its first slash is a registry's
      for (const name of names) expect(name).toMatch(/^[\w-]+(:[\w.-]+)?$/);
    },
  );
});

describe("docker/microservice.Dockerfile", () => {
  it("copies only what its build may see, and runs the service without a shell and without rights", async () => {
    const dockerfile = await text("docker/microservice.Dockerfile");
    const ignored = await text("docker/microservice.Dockerfile.dockerignore");
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
      ([, sources = ""]) => sources.split(" "),
    );
    expect(copied).toContain("src");
    for (const source of copied) expect(ignored).toContain(`\n!${source}\n`);
    expect(dockerfile).toMatch(/^CMD \["node", "service\/serve\.js"\]$/m);
    expect(dockerfile).toMatch(/^HEALTHCHECK .*\\\n {2}CMD \["node", /m);
    expect(dockerfile.indexOf("\nUSER node\n")).toBeGreaterThan(dockerfile.lastIndexOf("\nFROM "));
  });

  it("takes along every package that the service imports", async () => {
    const dockerfile = await text("docker/microservice.Dockerfile");
    const files = await readdir(new URL("examples/microservice/", root));
    const sources = await Promise.all(files.map((file) => text(`examples/microservice/${file}`)));
    const imported = sources.flatMap((source) =>
      [...source.matchAll(/^(?:import|\}) .*?from "(.+)";$/gm)].map(([, name = ""]) => name),
    );
    expect(imported).toContain("hono");
    for (const name of imported) {
      if (/^(\.\/[\w-]+\.ts|node:\w+(\/\w+)?|annal(\/\w+)?)$/.test(name)) continue;
      expect(dockerfile).toContain(`node_modules/${name.split("/")[0]}\n`);
    }
  });
});
