import { expect, test } from "vitest";
import {
  parseDownloadStatus,
  parseIndexTargets,
  parseMadison,
  parseOsRelease,
  selectMainArchives,
  type AptSource,
} from "../../../src/server/apt-sources.ts";

const MIRROR = "https://mirror.example/debian";

function source(overrides: Partial<AptSource> = {}): AptSource {
  return { uri: MIRROR, suite: "bookworm", component: "main", signedBy: undefined, ...overrides };
}

test("reads the archives that apt shows", () => {
  const output = [
    `${MIRROR}/|bookworm|main|/usr/share/keyrings/debian-archive-keyring.gpg`,
    "mirror+file:/etc/apt/mirrors/debian.list|trixie|main|",
  ].join("\n");
  expect(parseIndexTargets(output)).toEqual([
    source({ signedBy: "/usr/share/keyrings/debian-archive-keyring.gpg" }),
    source({ uri: "mirror+file:/etc/apt/mirrors/debian.list", suite: "trixie" }),
  ]);
});

test("takes neither an inner key nor a field that an older apt does not know for a keyring file", () => {
  const output = `${MIRROR}/|bookworm|main|$(SIGNED_BY)\n${MIRROR}/|trixie|main|-----BEGIN PGP`;
  expect(parseIndexTargets(output).map(({ signedBy }) => signedBy)).toEqual([undefined, undefined]);
});

test("leaves out lines that are no archive", () => {
  expect(parseIndexTargets("\nW: something\n||\n")).toEqual([]);
});

test("selects the archive that carries the system's suite, once", () => {
  const sources = [
    source(),
    source({ component: "contrib" }),
    source({ suite: "bookworm-updates" }),
    source({ uri: "https://mirror.example/debian-security", suite: "bookworm-security" }),
  ];
  expect(selectMainArchives(sources, "bookworm")).toEqual([MIRROR]);
});

test("knows the main archive by an alias of the suite too", () => {
  expect(selectMainArchives([source({ suite: "testing" })], undefined)).toEqual([MIRROR]);
});

test("leaves out third parties", () => {
  const sources = [
    source({ uri: "https://packages.example/apt", component: "stable" }),
    source({ uri: "https://packages.example/db", suite: "bookworm-db" }),
    source({ uri: "https://packages.example/x", signedBy: "/etc/apt/keyrings/example.gpg" }),
  ];
  expect(selectMainArchives(sources, "bookworm")).toEqual([]);
});

test("reads os-release with and without quotes", () => {
  const fields = parseOsRelease(
    'ID=debian\nPRETTY_NAME="Debian 12"\n\nVERSION_CODENAME=bookworm\n',
  );
  expect(fields.get("VERSION_CODENAME")).toBe("bookworm");
  expect(fields.get("PRETTY_NAME")).toBe("Debian 12");
});

test("reads the versions of a package, each once", () => {
  const line = "nats-server | 2.15.1-1 | https://mirror.example/debian testing/main amd64 Packages";
  expect(parseMadison(`${line}\n${line.replace("2.15.1-1", "2.10.4-2")}\n${line}\n`)).toEqual([
    "2.15.1-1",
    "2.10.4-2",
  ]);
  expect(parseMadison("N: Unable to locate package\n")).toEqual([]);
});

test("reads how much of a download is done", () => {
  expect(parseDownloadStatus("dlstatus:1:45.5:Retrieving file 1 of 2")).toBeCloseTo(0.455);
  expect(parseDownloadStatus("pmstatus:nats-server:50:Unpacking")).toBeUndefined();
});
