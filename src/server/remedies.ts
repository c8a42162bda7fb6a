import { MINIMUM_VERSION, formatVersion } from "./version.ts";

const BY_PLATFORM: Readonly<Record<string, readonly string[]>> = {
  darwin: ["brew install nats-server"],
  linux: [
    "install the nats-server package of your distribution, where it is new enough " +
      "(Debian, Alpine, Arch, Nix have one)",
  ],
  win32: ["winget install NATSAuthors.NATSServer, or choco install nats-server"],
};

/** What can be done on this platform to have a server, one line each. */
export function formatRemedies(platform: string): string {
  const remedies = [
    ...(BY_PLATFORM[platform] ?? []),
    "download a release of nats-server and put it on PATH, or name it in ANNAL_NATS_SERVER",
    "set NATS_URL to a server that already runs with JetStream, for demo and tests",
  ];
  return remedies.map((line) => `  - ${line}`).join("\n");
}

/** The message for a machine on which no server was found. */
export function describeRemedies(platform: string, notices: readonly string[]): string {
  const lines = [
    `no nats-server ${formatVersion(MINIMUM_VERSION)} or newer was found on this machine.`,
    ...(notices.length === 0 ? [] : ["What was tried:", ...notices.map((line) => `  - ${line}`)]),
    "Do one of these:",
    formatRemedies(platform),
    "  - start Docker and install the testcontainers package, so that a container can be used",
  ];
  return lines.join("\n");
}
