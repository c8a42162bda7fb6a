/** The numbers of a release, such as `[2, 12, 1]`. */
export type Version = readonly [major: number, minor: number, patch: number];

/** The oldest nats-server that Annal works with: atomic batches that deduplicate came with 2.12.1. */
export const MINIMUM_VERSION: Version = [2, 12, 1];

/** Finds the first `x.y.z` in what a program or a package index prints; undefined where there is none. */
export function parseVersion(text: string): Version | undefined {
  const match = /(\d+)\.(\d+)\.(\d+)/.exec(text);
  if (match === null) return undefined;
  const [, major, minor, patch] = match;
  return [Number(major), Number(minor), Number(patch)];
}

/** Negative where `a` is older than `b`, zero where they are equal, positive where `a` is newer. */
export function compareVersions(a: Version, b: Version): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
}

/** Whether a server of this version can be used. */
export function isSupported(version: Version): boolean {
  return compareVersions(version, MINIMUM_VERSION) >= 0;
}

export function formatVersion(version: Version): string {
  return version.join(".");
}
