import {
  access,
  mkdir,
  mkdtemp,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import {
  INDEX_TARGETS_PARAMETERS,
  parseDownloadStatus,
  parseIndexTargets,
  parseMadison,
  parseOsRelease,
  selectMainArchives,
} from "./apt-sources.ts";
import type { OnServerProgress, ServerProgress } from "./progress.ts";
import { runCommand, type CommandResult } from "./run-command.ts";
import { formatVersion, isSupported, parseVersion } from "./version.ts";

/** Suites that may have a recent server, the calmest first. Aliases, so that they hold for the next releases too. */
const SUITES = ["stable", "stable-backports", "testing", "unstable"] as const;
/** The keys of the Debian archive; newer releases ship the second name. */
const KEYRINGS = [
  "/usr/share/keyrings/debian-archive-keyring.gpg",
  "/usr/share/keyrings/debian-archive-keyring.pgp",
] as const;
const PACKAGE = "nats-server";
const APT_TIMEOUT_MS = 180_000;
const WORK_PREFIX = ".fetch-";
/** Far longer than a fetch can take: what is older was left by a process that was killed. */
const ABANDONED_AFTER_MS = 24 * 3_600_000;

/** How to fetch a server by apt. */
export interface AptFetchOptions {
  /** Annal's cache folder for servers. */
  readonly cacheFolder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Told why something could not be fetched. */
  readonly onNotice: (message: string) => void;
  readonly onProgress?: OnServerProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Fetches nats-server from the system's own Debian mirror and unpacks it into the cache. Nothing is installed and the
 * system's package state is neither read nor changed: apt gets a state folder of its own. Signatures are checked
 * against the Debian archive's keys. The mirror and the settings of apt.conf (proxies and so on) are the system's.
 *
 * @returns the executable's path; undefined where it cannot be had this way, with a notice that says why
 * @throws the signal's reason
 */
export async function fetchByApt(options: AptFetchOptions): Promise<string | undefined> {
  const { cacheFolder, onNotice } = options;
  const keyring = await firstExisting(KEYRINGS);
  const mirrors = keyring === undefined ? [] : await findMirrors(options);
  if (keyring === undefined || mirrors.length === 0) {
    onNotice("apt has no mirror of the Debian archive (and its keys) configured here");
    return undefined;
  }
  // In the cache folder itself, so that the finished server gets there by a rename, which is atomic.
  await mkdir(cacheFolder, { recursive: true });
  await removeAbandoned(cacheFolder);
  const workFolder = await mkdtemp(join(cacheFolder, WORK_PREFIX));
  try {
    for (const mirror of mirrors) {
      for (const suite of SUITES) {
        const fetching = new AptFetch({ ...options, workFolder, keyring, mirror, suite });
        const path = await fetching.run();
        if (path !== undefined) return path;
      }
    }
    onNotice("the Debian mirror has no nats-server that is new enough and runs here");
    return undefined;
  } finally {
    await rm(workFolder, { recursive: true, force: true });
  }
}

async function removeAbandoned(cacheFolder: string): Promise<void> {
  for (const name of await readdir(cacheFolder)) {
    if (!name.startsWith(WORK_PREFIX)) continue;
    const folder = join(cacheFolder, name);
    const changed = await stat(folder).then(
      ({ mtimeMs }) => mtimeMs,
      () => Date.now(),
    );
    if (Date.now() - changed < ABANDONED_AFTER_MS) continue;
    await rm(folder, { recursive: true, force: true });
  }
}

async function findMirrors({ env, signal }: AptFetchOptions): Promise<readonly string[]> {
  const { code, stdout } = await runCommand("apt-get", INDEX_TARGETS_PARAMETERS, { env, signal });
  if (code !== 0) return [];
  const osRelease = await readFile("/etc/os-release", "utf8").catch(() => "");
  const codename = parseOsRelease(osRelease).get("VERSION_CODENAME");
  return selectMainArchives(parseIndexTargets(stdout), codename);
}

interface AptFetchPlace extends AptFetchOptions {
  readonly workFolder: string;
  readonly keyring: string;
  readonly mirror: string;
  readonly suite: string;
}

/** The attempt to fetch from one suite of one mirror. */
class AptFetch {
  readonly #place: AptFetchPlace;
  readonly #folder: string;
  readonly #settings: readonly string[];

  constructor(place: AptFetchPlace) {
    this.#place = place;
    this.#folder = join(place.workFolder, place.suite);
    this.#settings = formatAptSettings(this.#folder);
  }

  async run(): Promise<string | undefined> {
    const { suite, keyring, mirror, onNotice } = this.#place;
    await this.#prepare(`deb [signed-by=${keyring}] ${mirror} ${suite} main\n`);
    const message = `reading the package index of Debian ${suite}`;
    const updated = await this.#apt(["update"], { phase: "index", message });
    // Not judged by its exit code: a hook of the system that fails would look like an index that cannot be had. What
    // is not signed as it should be is not in the index.
    const available = await this.#findVersion();
    if (available === undefined) {
      if (updated.code !== 0) {
        onNotice(`apt could not read Debian ${suite}: ${firstComplaint(updated)}`);
      }
      return undefined;
    }
    const downloaded = await this.#download(available);
    if (downloaded.code !== 0) {
      onNotice(`apt could not fetch ${PACKAGE} ${available}: ${firstComplaint(downloaded)}`);
      return undefined;
    }
    return this.#unpack(available);
  }

  async #prepare(source: string): Promise<void> {
    for (const name of ["state/lists/partial", "cache/archives/partial", "package", "empty"]) {
      await mkdir(join(this.#folder, name), { recursive: true });
    }
    await writeFile(join(this.#folder, "state/status"), "");
    await writeFile(join(this.#folder, "sources.list"), source);
  }

  async #findVersion(): Promise<string | undefined> {
    const { env, signal } = this.#place;
    const parameters = [...this.#settings, "madison", PACKAGE];
    const { stdout } = await runCommand("apt-cache", parameters, { env, signal });
    return parseMadison(stdout).find((text) => {
      const version = parseVersion(text);
      return version !== undefined && isSupported(version);
    });
  }

  async #download(version: string): Promise<CommandResult> {
    const message = `fetching ${PACKAGE} ${version} from Debian ${this.#place.suite}`;
    const parameters = ["download", `${PACKAGE}=${version}`];
    return this.#apt(parameters, { phase: "download", message });
  }

  async #unpack(debianVersion: string): Promise<string | undefined> {
    const { cacheFolder, env, onNotice, onProgress, signal } = this.#place;
    onProgress?.({ phase: "unpack", message: `unpacking ${PACKAGE} into ${cacheFolder}` });
    const [archive] = await readdir(join(this.#folder, "package"));
    const root = join(this.#folder, "root");
    const parameters = ["-x", join(this.#folder, "package", archive ?? ""), root];
    const unpacked = await runCommand("dpkg-deb", parameters, { env, signal, timeoutMs: 60_000 });
    const binFolder = await firstExisting([join(root, "usr/sbin"), join(root, "usr/bin")]);
    if (unpacked.code !== 0 || binFolder === undefined) {
      onNotice(`${PACKAGE} ${debianVersion} could not be unpacked: ${firstComplaint(unpacked)}`);
      return undefined;
    }
    const run = await runCommand(join(binFolder, PACKAGE), ["--version"], { env, signal });
    const version = run.code === 0 ? parseVersion(run.stdout) : undefined;
    if (version === undefined) {
      onNotice(`${PACKAGE} ${debianVersion} does not run here: ${firstComplaint(run)}`);
      return undefined;
    }
    return install(binFolder, join(cacheFolder, formatVersion(version)));
  }

  #apt(
    parameters: readonly string[],
    progress: Pick<ServerProgress, "phase" | "message">,
  ): Promise<CommandResult> {
    const { env, onProgress, signal } = this.#place;
    onProgress?.(progress);
    let shown = 0;
    return runCommand("apt-get", [...this.#settings, ...parameters], {
      cwd: join(this.#folder, "package"),
      // Complaints are shown to the user, and are looked at in English.
      env: { ...env, LC_ALL: "C" },
      signal,
      timeoutMs: APT_TIMEOUT_MS,
      onStatus: (line) => {
        const fraction = parseDownloadStatus(line);
        if (fraction === undefined || fraction <= shown) return;
        shown = fraction;
        onProgress?.({ ...progress, fraction });
      },
    });
  }
}

/** Moves the unpacked folder to its place. Where another process was faster, its server is the same. */
async function install(binFolder: string, target: string): Promise<string> {
  try {
    await rename(binFolder, target);
  } catch (error) {
    if ((await firstExisting([join(target, PACKAGE)])) === undefined) throw error;
  }
  return join(target, PACKAGE);
}

function formatAptSettings(folder: string): readonly string[] {
  const settings = [
    `Dir::State=${folder}/state`,
    `Dir::State::lists=${folder}/state/lists`,
    `Dir::State::status=${folder}/state/status`,
    `Dir::Cache=${folder}/cache`,
    `Dir::Etc::sourcelist=${folder}/sources.list`,
    `Dir::Etc::sourceparts=${folder}/empty`,
    // The system's pins and its default release speak of other suites than this one.
    `Dir::Etc::preferences=${folder}/preferences`,
    `Dir::Etc::preferencesparts=${folder}/empty`,
    "APT::Default-Release=",
    "APT::Get::AllowUnauthenticated=false",
    "Acquire::AllowInsecureRepositories=false",
    "Acquire::AllowWeakRepositories=false",
    "Acquire::AllowDowngradeToInsecureRepositories=false",
    // An index that cannot be had is a failure, not a warning about an old one.
    "APT::Update::Error-Mode=any",
    "APT::Status-Fd=3",
    "Acquire::Languages=none",
    "Acquire::Retries=2",
  ];
  // As root apt would drop to a user who cannot write into the cache, and say so.
  if (process.getuid?.() === 0) settings.push("APT::Sandbox::User=root");
  return settings.flatMap((setting) => ["-o", setting]);
}

function firstComplaint({ stdout, stderr }: CommandResult): string {
  const lines = `${stderr}\n${stdout}`.split("\n").map((line) => line.trim());
  return lines.find((line) => /^E:|^Err:/.test(line)) ?? lines.find((line) => line !== "") ?? "";
}

async function firstExisting(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    try {
      await access(path);
      return path;
    } catch {
      // The next one, then.
    }
  }
  return undefined;
}
