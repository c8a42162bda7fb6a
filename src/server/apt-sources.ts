/** One archive that apt is configured to read, as `apt-get indextargets` shows it. */
export interface AptSource {
  /** Base address of the archive, such as a mirror of the main Debian archive. */
  readonly uri: string;
  /** Suite as it is configured: a codename or an alias. */
  readonly suite: string;
  readonly component: string;
  /** Keyring file that must have signed it; undefined where the system's trusted keys apply. */
  readonly signedBy: string | undefined;
}

/** Asks apt for what `parseIndexTargets` reads: apt knows all formats of its sources, so none is parsed here. */
export const INDEX_TARGETS_PARAMETERS: readonly string[] = [
  "indextargets",
  "--format",
  "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)",
  "Created-By: Packages",
];

/** Reads the answer to `INDEX_TARGETS_PARAMETERS`. Lines that are no archive of packages are left out. */
export function parseIndexTargets(output: string): readonly AptSource[] {
  const sources: AptSource[] = [];
  for (const line of output.split("\n")) {
    const [uri, suite, component, signedBy] = line.split("|").map((field) => field.trim());
    if (uri === undefined || !/^[a-z+]+:/.test(uri)) continue;
    if (suite === undefined || suite === "" || component === undefined) continue;
    sources.push({
      uri: uri.replace(/\/+$/, ""),
      suite,
      component,
      // Only a file can be handed on; a key that stands inside the sources file cannot.
      signedBy: signedBy?.startsWith("/") === true ? signedBy : undefined,
    });
  }
  return sources;
}

/** Names under which the main archive may be configured other than by the system's codename. */
const MAIN_SUITES = new Set(["oldoldstable", "oldstable", "stable", "testing", "unstable", "sid"]);

/**
 * The configured mirrors of the main Debian archive, each once. Security updates and third parties are left out: the
 * main archive alone carries the suite named like the system (or an alias of it) with a component `main`. What a
 * mirror really is, its signature shows when it is read.
 *
 * @param codename `VERSION_CODENAME` of the system, such as `bookworm`
 */
export function selectMainArchives(
  sources: readonly AptSource[],
  codename: string | undefined,
): readonly string[] {
  const main = sources.filter(
    ({ uri, suite, component, signedBy }) =>
      component === "main" &&
      (suite === codename || MAIN_SUITES.has(suite)) &&
      !/security/.test(uri) &&
      (signedBy === undefined || /debian-archive/.test(signedBy)),
  );
  return [...new Set(main.map(({ uri }) => uri))];
}

/** Reads `NAME=value` lines such as those of os-release. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^([A-Z0-9_]+)=(["']?)(.*)\2$/.exec(line.trim());
    if (match !== null) fields.set(match[1] ?? "", match[3] ?? "");
  }
  return fields;
}

/** The versions of a package, newest first, in the answer of `apt-cache madison`: `name | version | source`. */
export function parseMadison(output: string): readonly string[] {
  const versions = output.split("\n").flatMap((line) => {
    const [, version] = line.split("|").map((field) => field.trim());
    return version === undefined || version === "" ? [] : [version];
  });
  return [...new Set(versions)];
}

/** What apt's status lines say: `dlstatus:<n>:<percent>:<text>`; undefined for other lines. */
export function parseDownloadStatus(line: string): number | undefined {
  const match = /^dlstatus:\d+:([\d.]+):/.exec(line);
  return match === null ? undefined : Math.min(1, Number(match[1]) / 100);
}
