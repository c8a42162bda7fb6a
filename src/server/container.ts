import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { ContainerRuntimeClient, StartedTestContainer } from "testcontainers";
import { ClosedError, InvalidArgumentError, ServerStartError } from "../errors.ts";
import { loadTestcontainers, type Testcontainers } from "./container-runtime.ts";
import { readLogTail } from "./log-tail.ts";
import { isHealthy, readServerVersion } from "./monitoring.ts";
import type { NatsServer } from "./nats-server.ts";
import { choosePorts } from "./ports.ts";
import { formatRemedies } from "./remedies.ts";
import { formatServerConfig } from "./server-config.ts";
import type { StartServerOptions } from "./start-server.ts";
import { isSupported, formatVersion, MINIMUM_VERSION, parseVersion } from "./version.ts";
import { waitUntil } from "./wait.ts";

const CLIENT_PORT = 4222;
const MONITOR_PORT = 8222;
const PORT_ATTEMPTS = 5;
const CONFIG_FILE = "/annal/nats-server.conf";
const DATA_FOLDER = "/annal/data";

/** What a running container is known by. */
interface ContainerParts {
  readonly started: StartedTestContainer;
  readonly client: ContainerRuntimeClient;
  readonly url: string;
  readonly monitorUrl: string;
  readonly version: string;
  readonly storeDir: string | undefined;
  /** Temporary folder that holds the log. */
  readonly logFolder: string;
  readonly startTimeoutMs: number;
}

/**
 * Starts the server in a container whose ports are mapped to fixed ports of the host, so that a restart keeps them.
 * The container ends with this process by the means of testcontainers (its reaper), unless that is disabled.
 */
export async function startContainer(
  image: string,
  options: StartServerOptions,
): Promise<NatsServer> {
  if ((options.cluster ?? 1) > 1) {
    throw new ServerStartError(
      "a cluster is started from a nats-server executable only, and none was found; " +
        "install one, or use docker/compose.cluster.yaml and NATS_URL",
    );
  }
  const logFolder = await mkdtemp(join(tmpdir(), "annal-"));
  try {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await launch(image, options, logFolder);
      } catch (error) {
        const mayRetry = options.port === undefined && attempt < PORT_ATTEMPTS;
        if (!mayRetry || !saysPortTaken(error)) throw error;
      }
    }
  } catch (error) {
    const logTail = await readLogTail(join(logFolder, "nats-server.log"));
    await rm(logFolder, { recursive: true, force: true });
    options.signal?.throwIfAborted();
    if (error instanceof InvalidArgumentError || error instanceof ServerStartError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ServerStartError(
      `image ${image} did not start: ${reason}. The end of its log:\n${logTail}\n` +
        `Without Docker, do one of these:\n${formatRemedies(process.platform)}`,
      { cause: error },
    );
  }
}

async function launch(
  image: string,
  options: StartServerOptions,
  logFolder: string,
): Promise<NatsServer> {
  const { signal, onProgress } = options;
  const testcontainers = await loadTestcontainers();
  const client = await testcontainers.getContainerRuntimeClient();
  const [clientPort = 0, monitorPort = 0] = choosePorts(2);
  const hostPorts = new Map([
    [CLIENT_PORT, options.port ?? clientPort],
    [MONITOR_PORT, monitorPort],
  ]);
  const startTimeoutMs = options.startTimeoutMs ?? 30_000;
  const storeDir = options.storeDir === undefined ? undefined : resolve(options.storeDir);
  signal?.throwIfAborted();
  onProgress?.({ phase: "image", message: `starting ${image} by Docker` });
  const content = formatServerConfig({
    name: "annal",
    host: "0.0.0.0",
    clientPort: CLIENT_PORT,
    monitorPort: MONITOR_PORT,
    sync: options.sync ?? "always",
    extra: options.config,
  });
  const { host } = client.info.containerRuntime;
  const isLocal = host === "localhost" || host === "127.0.0.1";
  const Container = isLocal
    ? loopbackContainer(testcontainers, hostPorts)
    : testcontainers.GenericContainer;
  const container = new Container(image)
    .withCommand(["-c", CONFIG_FILE, "-js", "-sd", DATA_FOLDER])
    .withCopyContentToContainer([{ content, target: CONFIG_FILE }])
    .withExposedPorts(...[...hostPorts].map(([inside, host]) => ({ container: inside, host })))
    .withLogConsumer((stream) => stream.pipe(openLog(logFolder)))
    .withWaitStrategy(testcontainers.Wait.forLogMessage("Server is ready"))
    .withStartupTimeout(startTimeoutMs);
  if (storeDir !== undefined) {
    await mkdir(storeDir, { recursive: true });
    container.withBindMounts([{ source: storeDir, target: DATA_FOLDER }]);
  }
  const started = await container.start();
  try {
    const address = isLocal ? "127.0.0.1" : started.getHost();
    const monitorUrl = `http://${address}:${started.getMappedPort(MONITOR_PORT)}`;
    await waitUntilHealthy(monitorUrl, startTimeoutMs, logFolder, signal);
    return new ContainerServer({
      started,
      client,
      url: `nats://${address}:${started.getMappedPort(CLIENT_PORT)}`,
      monitorUrl,
      version: await requireVersion(image, monitorUrl),
      storeDir,
      logFolder,
      startTimeoutMs,
    });
  } catch (error) {
    await started.stop();
    throw error;
  }
}

/**
 * A container whose ports are mapped on the host's loopback only: testcontainers itself maps on all addresses, and
 * this server has no password. Its hook for subclasses is the one place where the mapping can be narrowed.
 */
function loopbackContainer(
  { GenericContainer }: Testcontainers,
  hostPorts: ReadonlyMap<number, number>,
): typeof GenericContainer {
  return class LoopbackContainer extends GenericContainer {
    protected override async beforeContainerCreated(): Promise<void> {
      const bindings = [...hostPorts].map(([inside, outside]) => [
        `${inside}/tcp`,
        [{ HostIp: "127.0.0.1", HostPort: `${outside}` }],
      ]);
      this.hostConfig.PortBindings = Object.fromEntries(bindings);
    }
  };
}

/** A nats-server in a container, through all its restarts. */
class ContainerServer implements NatsServer {
  readonly url: string;
  readonly monitorUrl: string;
  readonly version: string;
  readonly storeDir: string | undefined;
  readonly logFile: string;
  readonly pid: undefined = undefined;
  readonly #parts: ContainerParts;
  readonly #container: ReturnType<ContainerRuntimeClient["container"]["getById"]>;
  #running = true;
  #paused = false;
  #stopped: Promise<void> | undefined;

  constructor(parts: ContainerParts) {
    this.#parts = parts;
    this.#container = parts.client.container.getById(parts.started.getId());
    this.url = parts.url;
    this.monitorUrl = parts.monitorUrl;
    this.version = parts.version;
    this.storeDir = parts.storeDir;
    this.logFile = join(parts.logFolder, "nats-server.log");
  }

  get nodes(): readonly NatsServer[] {
    return [this];
  }

  async stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    await this.#stopped;
  }

  async kill(): Promise<void> {
    if (!this.#running || this.#stopped !== undefined) return;
    // Docker kills no paused container.
    await this.resume();
    const ended = this.#container.wait();
    await this.#container.kill({ signal: "SIGKILL" });
    await ended;
    this.#running = false;
  }

  async restart(): Promise<void> {
    if (this.#stopped !== undefined) throw new ClosedError(`server ${this.url}`);
    await this.resume();
    if (this.#running) await this.#container.stop({ t: 10 });
    await this.#container.start();
    this.#running = true;
    const { started, startTimeoutMs, logFolder } = this.#parts;
    (await started.logs()).pipe(openLog(logFolder));
    await waitUntilHealthy(this.monitorUrl, startTimeoutMs, logFolder);
  }

  async pause(): Promise<void> {
    if (this.#paused || !this.#running) return;
    await this.#container.pause();
    this.#paused = true;
  }

  async resume(): Promise<void> {
    if (!this.#paused) return;
    await this.#container.unpause();
    this.#paused = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #stop(): Promise<void> {
    await this.resume();
    await this.#parts.started.stop({ timeout: 10_000, remove: true, removeVolumes: true });
    await rm(this.#parts.logFolder, { recursive: true, force: true, maxRetries: 3 });
  }
}

/** Docker repeats a container's whole log when it is asked again, so the file starts anew. */
function openLog(folder: string): NodeJS.WritableStream {
  // The folder may be removed while the last lines arrive.
  return createWriteStream(join(folder, "nats-server.log")).on("error", () => {});
}

async function waitUntilHealthy(
  monitorUrl: string,
  startTimeoutMs: number,
  logFolder: string,
  signal?: AbortSignal,
): Promise<void> {
  const deadline = performance.now() + startTimeoutMs;
  if (await waitUntil(() => isHealthy(monitorUrl), deadline, signal)) return;
  const tail = await readLogTail(join(logFolder, "nats-server.log"));
  throw new ServerStartError(
    `the container's JetStream is not ready within ${startTimeoutMs} ms. The end of its log:\n${tail}`,
  );
}

async function requireVersion(image: string, monitorUrl: string): Promise<string> {
  const version = parseVersion((await readServerVersion(monitorUrl)) ?? "");
  if (version !== undefined && isSupported(version)) return formatVersion(version);
  const found = version === undefined ? "an unknown version" : formatVersion(version);
  throw new ServerStartError(
    `image ${image} is nats-server ${found}: Annal needs ${formatVersion(MINIMUM_VERSION)} or newer`,
  );
}

function saysPortTaken(error: unknown): boolean {
  return error instanceof Error && /port is already allocated|already in use/i.test(error.message);
}
