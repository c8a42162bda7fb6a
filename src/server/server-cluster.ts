import { rm } from "node:fs/promises";
import { ServerStartError } from "../errors.ts";
import { readLogTail } from "./log-tail.ts";
import { leadsCluster } from "./monitoring.ts";
import type { NatsServer } from "./nats-server.ts";
import type { ServerNode } from "./server-node.ts";
import { waitUntil } from "./wait.ts";

/** What a cluster is made of. */
export interface ClusterParts {
  readonly nodes: readonly [ServerNode, ...ServerNode[]];
  /** Folder that holds the nodes' folders. */
  readonly folder: string;
  readonly temporary: boolean;
  readonly startTimeoutMs: number;
}

/** Several nats-server processes on loopback that form one JetStream cluster. */
export class ServerCluster implements NatsServer {
  readonly url: string;
  readonly monitorUrl: string;
  readonly version: string;
  readonly storeDir: string;
  readonly logFile: string;
  readonly pid: undefined = undefined;
  readonly nodes: readonly [ServerNode, ...ServerNode[]];
  readonly #parts: ClusterParts;

  constructor(parts: ClusterParts) {
    const [first] = parts.nodes;
    this.#parts = parts;
    this.nodes = parts.nodes;
    this.url = parts.nodes.map((node) => node.url).join(",");
    this.monitorUrl = first.monitorUrl;
    this.version = first.version;
    this.storeDir = parts.folder;
    this.logFile = first.logFile;
  }

  /** Starts all nodes and waits until one leads and all others follow it. */
  async launch(signal?: AbortSignal): Promise<void> {
    await settleAll(this.nodes.map((node) => node.launch(signal)));
  }

  /** Waits until all nodes are healthy and one leads all others. */
  async ready(signal?: AbortSignal): Promise<void> {
    const { nodes } = this;
    await settleAll(nodes.map((node) => node.ready(signal)));
    const { startTimeoutMs } = this.#parts;
    const anyLeads = async (): Promise<boolean> => {
      const answers = nodes.map((node) => leadsCluster(node.monitorUrl, nodes.length));
      return (await Promise.all(answers)).includes(true);
    };
    if (await waitUntil(anyLeads, performance.now() + startTimeoutMs, signal)) return;
    throw new ServerStartError(
      `the cluster of ${nodes.length} has no leader that all nodes follow after ${startTimeoutMs} ms. ` +
        `The end of the first node's log:\n${await readLogTail(this.logFile)}`,
    );
  }

  async stop(): Promise<void> {
    await settleAll(this.nodes.map((node) => node.stop()));
    const { folder, temporary } = this.#parts;
    if (temporary) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async kill(): Promise<void> {
    await settleAll(this.nodes.map((node) => node.kill()));
  }

  async restart(): Promise<void> {
    await settleAll(this.nodes.map((node) => node.restart()));
    await this.ready();
  }

  async pause(): Promise<void> {
    await settleAll(this.nodes.map((node) => node.pause()));
  }

  async resume(): Promise<void> {
    await settleAll(this.nodes.map((node) => node.resume()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Waits for all, also where one fails, so that nothing goes on behind the caller's back; then throws the first failure. */
async function settleAll(work: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) {
    if (result.status === "rejected") throw result.reason;
  }
}
