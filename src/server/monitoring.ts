/**
 * What a node's HTTP monitoring says. It is asked rather than the client port because it needs no credentials:
 * a configuration with accounts or TLS is then as easy to wait for as one without.
 */

const REQUEST_TIMEOUT_MS = 2_000;

/** Whether the node calls itself healthy: JetStream runs, its assets are recovered, a meta leader is known. */
export async function isHealthy(monitorUrl: string): Promise<boolean> {
  return (await ask(`${monitorUrl}/healthz`)) !== undefined;
}

/**
 * Whether this node leads the cluster and all other nodes follow it. Only then has the leader heard of the
 * resources of each, so that a stream with that many replicas can be placed.
 */
export async function leadsCluster(monitorUrl: string, nodes: number): Promise<boolean> {
  const answer = await ask(`${monitorUrl}/jsz`);
  const replicas = property(property(answer, "meta_cluster"), "replicas");
  if (!Array.isArray(replicas) || replicas.length !== nodes - 1) return false;
  return replicas.every(
    (replica) => property(replica, "current") === true && property(replica, "offline") !== true,
  );
}

/** The server's version as it says itself; undefined where it does not answer. */
export async function readServerVersion(monitorUrl: string): Promise<string | undefined> {
  const version = property(await ask(`${monitorUrl}/varz`), "version");
  return typeof version === "string" ? version : undefined;
}

/** The JSON of a successful answer; undefined where there is none. */
async function ask(url: string): Promise<unknown> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
    const body: unknown = await response.json();
    return response.ok ? body : undefined;
  } catch {
    return undefined;
  }
}

function property(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.getOwnPropertyDescriptor(value, name)?.value;
}
