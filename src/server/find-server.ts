import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { ServerStartError } from "../errors.ts";
import { fetchByApt } from "./apt-fetch.ts";
import { findContainerProblem } from "./container-runtime.ts";
import { findExecutables, listCachedBinaries } from "./binary-lookup.ts";
import type { OnServerProgress } from "./progress.ts";
import { describeRemedies } from "./remedies.ts";
import { runCommand } from "./run-command.ts";
import {
  MINIMUM_VERSION,
  formatVersion,
  isSupported,
  parseVersion,
  type Version,
} from "./version.ts";

/** The image of the Docker fallback where none is named. */
export const DEFAULT_IMAGE = "nats:2.12-alpine";

/** Where a server can come from, in the order in which they are asked. */
export const SERVER_PLACES = ["binary", "environment", "path", "cache", "apt", "docker"] as const;

/** A place a server can come from. */
export type ServerPlace = (typeof SERVER_PLACES)[number];

/** How to look for a server. */
export interface FindServerOptions {
  /** A nats-server executable to use before all others. */
  readonly binary?: string | undefined;
  /** Image for the Docker fallback. @default "nats:2.12-alpine" */
  readonly image?: string | undefined;
  /**
   * The places to look at; their order is always that of `SERVER_PLACES`. Leave out `"apt"` and `"docker"` where
   * nothing may be fetched.
   * @default all
   */
  readonly places?: readonly ServerPlace[] | undefined;
  /** Environment to read `ANNAL_NATS_SERVER`, `PATH`, `XDG_CACHE_HOME` and `HOME` from. @default process.env */
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Told what is passed over and what is fetched. */
  readonly onProgress?: OnServerProgress | undefined;
  /** Ends the search (and the start) with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A server that can be started: an executable of this machine, or a container image. */
export type FoundServer = FoundBinary | FoundImage;

export interface FoundBinary {
  readonly kind: "binary";
  /** Absolute path of the executable. */
  readonly path: string;
  /** Its version, such as `2.12.1`. */
  readonly version: string;
  readonly place: Exclude<ServerPlace, "docker">;
  /** What was passed over on the way, one sentence each. */
  readonly notices: readonly string[];
}

export interface FoundImage {
  readonly kind: "image";
  readonly image: string;
  readonly place: "docker";
  readonly notices: readonly string[];
}

/**
 * Finds a nats-server that Annal can work with (2.12.1 or newer), and fetches one where the machine has none.
 *
 * Looks at the `binary` option, `ANNAL_NATS_SERVER`, `PATH` and Annal's cache folder; then fetches it from the
 * system's own Debian mirror by apt into the cache, without installing anything; then turns to Docker.
 *
 * @throws ServerStartError where there is none, saying what was passed over and what to do on this system; also
 *   where an executable that was named (by option or environment) does not run
 * @throws the signal's reason
 */
export async function findServer(options: FindServerOptions = {}): Promise<FoundServer> {
  return new Search(options).run();
}

type BinaryPlace = FoundBinary["place"];

class Search {
  readonly #options: FindServerOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #places: ReadonlySet<ServerPlace>;
  readonly #notices: string[] = [];

  constructor(options: FindServerOptions) {
    this.#options = options;
    this.#env = options.env ?? process.env;
    this.#places = new Set(options.places ?? SERVER_PLACES);
  }

  async run(): Promise<FoundServer> {
    this.#options.signal?.throwIfAborted();
    return (
      (await this.#named("binary", this.#options.binary)) ??
      (await this.#named("environment", this.#env["ANNAL_NATS_SERVER"])) ??
      (await this.#first("path", await this.#onPath())) ??
      (await this.#first("cache", await listCachedBinaries(this.#cacheFolder()))) ??
      (await this.#byApt()) ??
      (await this.#byDocker()) ??
      this.#giveUp()
    );
  }

  /** An executable that somebody named must run; only its version may be passed over. */
  async #named(place: BinaryPlace, path: string | undefined): Promise<FoundBinary | undefined> {
    if (!this.#places.has(place) || path === undefined || path === "") return undefined;
    const [executable] = path.includes("/") ? [resolve(path)] : await this.#onPath(path);
    const version = executable === undefined ? undefined : await this.#versionOf(executable);
    if (executable === undefined || version === undefined) {
      const name = place === "binary" ? "option binary" : "ANNAL_NATS_SERVER";
      throw new ServerStartError(`${name}: ${path} does not run as a nats-server`);
    }
    return this.#accept(place, executable, version);
  }

  async #first(place: BinaryPlace, paths: readonly string[]): Promise<FoundBinary | undefined> {
    if (!this.#places.has(place)) return undefined;
    for (const path of paths) {
      const version = await this.#versionOf(path);
      if (version === undefined) {
        this.#notice(`${path} does not run here, it is passed over`);
        continue;
      }
      const found = this.#accept(place, path, version);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async #byApt(): Promise<FoundBinary | undefined> {
    if (!this.#places.has("apt")) return undefined;
    const path = await fetchByApt({
      cacheFolder: this.#cacheFolder(),
      env: this.#env,
      onNotice: (message) => this.#notice(message),
      onProgress: this.#options.onProgress,
      signal: this.#options.signal,
    });
    return path === undefined ? undefined : this.#first("apt", [path]);
  }

  async #byDocker(): Promise<FoundImage | undefined> {
    if (!this.#places.has("docker")) return undefined;
    const problem = await findContainerProblem();
    if (problem !== undefined) {
      this.#notice(problem);
      return undefined;
    }
    const image = this.#options.image ?? DEFAULT_IMAGE;
    return { kind: "image", image, place: "docker", notices: this.#notices };
  }

  #accept(place: BinaryPlace, path: string, version: Version): FoundBinary | undefined {
    if (isSupported(version)) {
      const shown = formatVersion(version);
      return { kind: "binary", path, version: shown, place, notices: this.#notices };
    }
    this.#notice(
      `${path} is nats-server ${formatVersion(version)}, it is passed over: ` +
        `Annal needs ${formatVersion(MINIMUM_VERSION)} or newer`,
    );
    return undefined;
  }

  async #versionOf(path: string): Promise<Version | undefined> {
    const { signal } = this.#options;
    const { code, stdout } = await runCommand(path, ["--version"], { signal });
    return code === 0 ? parseVersion(stdout) : undefined;
  }

  async #onPath(name = "nats-server"): Promise<readonly string[]> {
    const folders = (this.#env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
    return findExecutables(folders, name);
  }

  #cacheFolder(): string {
    const xdg = this.#env["XDG_CACHE_HOME"];
    // The XDG base directory specification has relative paths ignored.
    const base = xdg?.startsWith("/") === true ? xdg : undefined;
    return join(base ?? join(this.#env["HOME"] ?? homedir(), ".cache"), "annal", "nats-server");
  }

  #notice(message: string): void {
    this.#notices.push(message);
    this.#options.onProgress?.({ phase: "notice", message });
  }

  #giveUp(): never {
    throw new ServerStartError(describeRemedies(process.platform, this.#notices));
  }
}
