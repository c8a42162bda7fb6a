import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ClosedError, ServerStartError } from "../errors.ts";
import { readLogTail } from "./log-tail.ts";
import { isHealthy } from "./monitoring.ts";
import type { NatsServer } from "./nats-server.ts";
import { formatServerConfig, type ClusterSettings, type SyncMode } from "./server-config.ts";
import { standsStill } from "./stands-still.ts";
import { startSupervised, type SupervisedProcess } from "./supervised-process.ts";
import { waitUntil } from "./wait.ts";

/** How long a server may take to shut down in good order before it is killed. */
const STOP_TIMEOUT_MS = 10_000;

/** What one server process needs to know. */
export interface NodeOptions {
  readonly binary: string;
  readonly version: string;
  readonly name: string;
  /** Folder of store, log and configuration. */
  readonly folder: string;
  /** Whether the folder is removed at the end. */
  readonly temporary: boolean;
  /** Folder to remove where this process dies first; for a node of a cluster the one that holds all nodes' folders. */
  readonly removeWhenOrphaned: string | undefined;
  readonly clientPort: number;
  readonly monitorPort: number;
  readonly sync: SyncMode;
  readonly cluster?: ClusterSettings | undefined;
  readonly config?: string | undefined;
  readonly startTimeoutMs: number;
  /** Whether enough nodes run, this one included, for the cluster to elect a leader. @default always */
  readonly hasMajority?: () => boolean;
}

/** One nats-server process on loopback, through all its restarts. */
export class ServerNode implements NatsServer {
  readonly url: string;
  readonly monitorUrl: string;
  readonly version: string;
  readonly storeDir: string;
  readonly logFile: string;
  readonly #options: NodeOptions;
  readonly #configFile: string;
  readonly #portsFolder: string;
  #process: SupervisedProcess | undefined;
  #isPaused = false;
  #stopped: Promise<void> | undefined;

  constructor(options: NodeOptions) {
    this.#options = options;
    this.url = `nats://127.0.0.1:${options.clientPort}`;
    this.monitorUrl = `http://127.0.0.1:${options.monitorPort}`;
    this.version = options.version;
    this.storeDir = options.folder;
    this.logFile = join(options.folder, "nats-server.log");
    this.#configFile = join(options.folder, "nats-server.conf");
    this.#portsFolder = join(options.folder, "ports");
  }

  get pid(): number | undefined {
    return this.running ? this.#process?.pid : undefined;
  }

  get nodes(): readonly NatsServer[] {
    return [this];
  }

  /** Whether the process runs, paused or not. */
  get running(): boolean {
    return this.#process?.running ?? false;
  }

  /** Starts the process and waits until it listens; `ready()` waits for JetStream. */
  async launch(signal?: AbortSignal): Promise<void> {
    if (this.#stopped !== undefined) throw new ClosedError(`server ${this.url}`);
    const options = this.#options;
    await mkdir(options.folder, { recursive: true });
    await rm(this.#portsFolder, { recursive: true, force: true });
    await mkdir(this.#portsFolder);
    await writeFile(this.#configFile, this.#configText());
    signal?.throwIfAborted();
    const command = [options.binary, "-c", this.#configFile, "-js"];
    const started = await startSupervised({
      // On the command line the store's folder holds even where `config` brings a jetstream block of its own.
      command: [...command, "-sd", options.folder, "--ports_file_dir", this.#portsFolder],
      logFile: this.logFile,
      removeWhenOrphaned: options.removeWhenOrphaned,
    });
    this.#process = started;
    await this.#waitFor("listening", async () => await this.#listens(started.pid), signal);
  }

  /** Waits until JetStream answers; in a cluster until this node knows the meta leader. */
  async ready(signal?: AbortSignal): Promise<void> {
    await this.#waitFor("JetStream", () => isHealthy(this.monitorUrl), signal);
  }

  async stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    await this.#stopped;
  }

  async kill(): Promise<void> {
    this.#process?.signal("SIGKILL");
    await this.#process?.ended;
  }

  async restart(): Promise<void> {
    if (this.#stopped !== undefined) throw new ClosedError(`server ${this.url}`);
    await this.#shutDown();
    await this.launch();
    if (this.#options.hasMajority?.() ?? true) await this.ready();
  }

  async pause(): Promise<void> {
    const { pid } = this;
    if (pid === undefined) return;
    this.#process?.signal("SIGSTOP");
    this.#isPaused = true;
    const isOver = async (): Promise<boolean> => !this.#isPaused || (await standsStill(pid));
    await waitUntil(isOver, performance.now() + STOP_TIMEOUT_MS);
  }

  async resume(): Promise<void> {
    this.#isPaused = false;
    this.#process?.signal("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<void> {
    await this.#shutDown();
    if (!this.#options.temporary) return;
    await rm(this.#options.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async #shutDown(): Promise<void> {
    const current = this.#process;
    if (current === undefined || !current.running) return;
    current.signal("SIGTERM");
    // A paused process does not see SIGTERM before it goes on.
    current.signal("SIGCONT");
    const timer = setTimeout(() => current.signal("SIGKILL"), STOP_TIMEOUT_MS);
    await current.ended;
    clearTimeout(timer);
  }

  #configText(): string {
    const { name, clientPort, monitorPort, sync, cluster, config } = this.#options;
    return formatServerConfig({
      name,
      host: "127.0.0.1",
      clientPort,
      monitorPort,
      sync,
      cluster,
      extra: config,
    });
  }

  /** The server writes this file, named after its process, once it listens: no other server is mistaken for it. */
  async #listens(pid: number): Promise<boolean> {
    const files = await readdir(this.#portsFolder);
    return files.some((file) => file.endsWith(`_${pid}.ports`));
  }

  async #waitFor(
    what: string,
    condition: () => Promise<boolean>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { startTimeoutMs } = this.#options;
    const deadline = performance.now() + startTimeoutMs;
    const reached = await waitUntil(
      async () => !this.running || (await condition()),
      deadline,
      signal,
    );
    if (this.running && reached) return;
    const failure = this.running
      ? `is not ready within ${startTimeoutMs} ms (waiting for: ${what})`
      : `did not start: it ended with exit code ${await this.#process?.ended}`;
    const tail = await readLogTail(this.logFile);
    throw new ServerStartError(`${this.#options.binary} ${failure}. The end of its log:\n${tail}`);
  }
}
