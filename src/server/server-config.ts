import { InvalidArgumentError } from "../errors.ts";

/**
 * When a server writes to the disk: `"always"` before each acknowledgement, `"default"` as the server does by itself
 * (every two minutes), or after a duration in the server's notation, such as `"500ms"` or `"10s"`.
 */
export type SyncMode = "always" | "default" | (string & {});

/** What the configuration of one node is made of. */
export interface NodeSettings {
  readonly name: string;
  /** Address to listen on: loopback, but all addresses inside a container. */
  readonly host: string;
  readonly clientPort: number;
  readonly monitorPort: number;
  readonly sync: SyncMode;
  readonly cluster?: ClusterSettings | undefined;
  /** Further lines of configuration; what they set wins. */
  readonly extra?: string | undefined;
}

export interface ClusterSettings {
  readonly name: string;
  readonly port: number;
  /** Route ports of all nodes, this one's included. */
  readonly routePorts: readonly number[];
}

/** Writes a node's settings in the server's configuration language. */
export function formatServerConfig(settings: NodeSettings): string {
  const lines = [
    `server_name: ${quote(settings.name)}`,
    `host: ${quote(settings.host)}`,
    `port: ${settings.clientPort}`,
    `http: "${settings.host}:${settings.monitorPort}"`,
    "jetstream {",
    ...formatSync(settings.sync),
    "}",
  ];
  if (settings.cluster !== undefined) lines.push(...formatCluster(settings.cluster, settings.host));
  if (settings.extra !== undefined) lines.push(settings.extra);
  return `${lines.join("\n")}\n`;
}

function formatSync(sync: SyncMode): readonly string[] {
  if (sync === "default") return [];
  if (sync !== "always" && !/^[1-9]\d*(ns|us|ms|s|m|h)$/.test(sync)) {
    throw new InvalidArgumentError("sync", `"always", "default" or a duration like "10s"`, sync);
  }
  return [`  sync_interval: ${sync === "always" ? sync : quote(sync)}`];
}

function formatCluster(cluster: ClusterSettings, host: string): readonly string[] {
  return [
    "cluster {",
    `  name: ${quote(cluster.name)}`,
    `  listen: "${host}:${cluster.port}"`,
    `  routes: [${cluster.routePorts.map((port) => `"nats://${host}:${port}"`).join(", ")}]`,
    "}",
  ];
}

function quote(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
