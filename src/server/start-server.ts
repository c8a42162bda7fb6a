import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { InvalidArgumentError, ServerStartError } from "../errors.ts";
import { startContainer } from "./container.ts";
import { findServer, type FindServerOptions } from "./find-server.ts";
import type { NatsServer } from "./nats-server.ts";
import { choosePorts, saysPortTaken } from "./ports.ts";
import { ServerCluster } from "./server-cluster.ts";
import type { SyncMode } from "./server-config.ts";
import { ServerNode, type NodeOptions } from "./server-node.ts";

/** How often ports are chosen anew when those chosen at random turn out to be taken. */
const PORT_ATTEMPTS = 5;
const MAX_NODES = 9;

/** How to start a server. */
export interface StartServerOptions extends FindServerOptions {
  /**
   * Folder for the store, the log and the generated configuration. A cluster has a folder in it for each node.
   * @default a temporary folder, removed at the end
   */
  readonly storeDir?: string | undefined;
  /** Port for clients on 127.0.0.1; nodes of a cluster take this one and those that follow. @default a free one */
  readonly port?: number | undefined;
  /** When the server writes to the disk: `"always"`, `"default"` or a duration like `"10s"`. @default "always" */
  readonly sync?: SyncMode | undefined;
  /** Number of nodes of a JetStream cluster, usually 3. @default 1, which is no cluster */
  readonly cluster?: number | undefined;
  /**
   * Further lines in the server's configuration language, such as `max_payload: 64KB`; they win over Annal's own.
   * A `jetstream` block replaces Annal's as a whole, `sync_interval` included; the store's folder stays.
   */
  readonly config?: string | undefined;
  /** How long the server may take until JetStream is ready, milliseconds. @default 30_000 */
  readonly startTimeoutMs?: number | undefined;
}

/**
 * Starts a real nats-server with JetStream on loopback and waits until it is ready for streams.
 *
 * The server ends with this process, however that ends. It is found (or fetched) by `findServer`.
 *
 * @throws ServerStartError where no server is found or it does not start; the message shows the end of its log
 * @throws InvalidArgumentError
 * @throws the signal's reason; nothing is left running then
 *
 * @example
 * await using server = await startServer();
 * const store = await EventStore.connect({ servers: server.url, stream: "BANK" });
 */
export async function startServer(options: StartServerOptions = {}): Promise<NatsServer> {
  const size = options.cluster ?? 1;
  if (!Number.isInteger(size) || size < 1 || size > MAX_NODES) {
    throw new InvalidArgumentError("cluster", `a number of nodes from 1 to ${MAX_NODES}`, size);
  }
  const { port } = options;
  if (port !== undefined && !(Number.isInteger(port) && port > 0 && port + size <= 65_536)) {
    throw new InvalidArgumentError("port", "a TCP port", port);
  }
  const found = await findServer(options);
  if (found.kind === "image") return startContainer(found.image, options);
  options.onProgress?.({ phase: "start", message: `starting nats-server ${found.version}` });
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startProcesses(found.path, found.version, size, options);
    } catch (error) {
      const mayRetry = port === undefined && attempt < PORT_ATTEMPTS;
      if (!mayRetry || !(error instanceof ServerStartError) || !saysPortTaken(error.message)) {
        throw error;
      }
    }
  }
}

async function startProcesses(
  binary: string,
  version: string,
  size: number,
  options: StartServerOptions,
): Promise<NatsServer> {
  const temporary = options.storeDir === undefined;
  const folder =
    options.storeDir === undefined
      ? await mkdtemp(join(tmpdir(), "annal-"))
      : resolve(options.storeDir);
  const startTimeoutMs = options.startTimeoutMs ?? 30_000;
  const common = {
    binary,
    version,
    temporary,
    removeWhenOrphaned: temporary ? folder : undefined,
    sync: options.sync ?? "always",
    config: options.config,
    startTimeoutMs,
  };
  const server = buildServer(common, folder, size, options.port);
  try {
    await server.launch(options.signal);
    await server.ready(options.signal);
    return server;
  } catch (error) {
    await server.kill();
    if (temporary) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    throw error;
  }
}

type CommonOptions = Pick<
  NodeOptions,
  "binary" | "version" | "temporary" | "removeWhenOrphaned" | "sync" | "config" | "startTimeoutMs"
>;

function buildServer(
  common: CommonOptions,
  folder: string,
  size: number,
  port: number | undefined,
): ServerNode | ServerCluster {
  const ports = choosePorts(size * 3);
  const clientPort = (index: number): number =>
    port === undefined ? portAt(ports, index) : port + index;
  const monitorPort = (index: number): number => portAt(ports, size + index);
  if (size === 1) {
    return new ServerNode({
      ...common,
      name: "annal",
      folder,
      clientPort: clientPort(0),
      monitorPort: monitorPort(0),
    });
  }
  const routePorts = ports.slice(size * 2);
  const nodes: ServerNode[] = [];
  const hasMajority = (): boolean => nodes.filter((node) => node.running).length > size / 2;
  const buildNode = (index: number): ServerNode => {
    const node = new ServerNode({
      ...common,
      name: `annal-${index + 1}`,
      folder: join(folder, `${index + 1}`),
      clientPort: clientPort(index),
      monitorPort: monitorPort(index),
      cluster: { name: "annal", port: portAt(routePorts, index), routePorts },
      hasMajority,
    });
    nodes.push(node);
    return node;
  };
  const first = buildNode(0);
  const others = Array.from({ length: size - 1 }, (_, index) => buildNode(index + 1));
  const { temporary, startTimeoutMs } = common;
  return new ServerCluster({ nodes: [first, ...others], folder, temporary, startTimeoutMs });
}

function portAt(ports: readonly number[], index: number): number {
  const port = ports[index];
  if (port === undefined) throw new RangeError(`no port was chosen for place ${index}`);
  return port;
}
