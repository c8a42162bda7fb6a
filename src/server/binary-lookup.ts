import { access, constants, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { compareVersions, parseVersion } from "./version.ts";

/** Executable files of this name in the folders, in the order of the folders. */
export async function findExecutables(
  folders: readonly string[],
  name: string,
): Promise<readonly string[]> {
  const candidates = folders.map((folder) => join(folder, name));
  const checks = await Promise.all(candidates.map(isExecutableFile));
  return candidates.filter((_, index) => checks[index] === true);
}

/** Servers in Annal's cache, which has a folder named after the version for each; the newest first. */
export async function listCachedBinaries(cacheFolder: string): Promise<readonly string[]> {
  const names = await readdir(cacheFolder).catch((): string[] => []);
  const versions = names.flatMap((name) => {
    const version = /^\d+\.\d+\.\d+$/.test(name) ? parseVersion(name) : undefined;
    return version === undefined ? [] : [{ name, version }];
  });
  versions.sort((a, b) => compareVersions(b.version, a.version));
  const folders = versions.map(({ name }) => join(cacheFolder, name));
  return findExecutables(folders, "nats-server");
}

async function isExecutableFile(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
