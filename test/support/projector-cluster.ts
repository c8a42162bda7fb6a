import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { leadsCluster } from "../../src/server/monitoring.ts";
import type { NatsServer } from "../../src/server/index.ts";
import { eventually } from "./server.ts";

/** Nodes of a cluster, of which one leads all that a test needs a leader of. */
export interface Roles {
  readonly leader: NatsServer;
  /** Leads nothing: may be paused. */
  readonly follower: NatsServer;
}

/** Moves the leadership of streams to the node that leads the cluster. */
export async function gatherLeaders(
  cluster: NatsServer,
  streams: readonly string[],
): Promise<Roles> {
  const { nodes } = cluster;
  const leader = await eventually(async () => {
    const leads = await Promise.all(nodes.map((one) => leadsCluster(one.monitorUrl, nodes.length)));
    const found = nodes[leads.indexOf(true)];
    if (found === undefined) throw new Error("no leader is known");
    return found;
  });
  const follower = nodes.find((node) => node !== leader);
  if (follower === undefined) throw new Error("a cluster has several nodes");
  const name = `annal-${nodes.indexOf(leader) + 1}`;
  const nc = await connect({ servers: leader.url });
  try {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const placement = JSON.stringify({ placement: { preferred: name } });
    for (const stream of streams) {
      await eventually(
        async () => {
          if ((await manager.streams.info(stream)).cluster?.leader === name) return;
          await nc.request(`$JS.API.STREAM.LEADER.STEPDOWN.${stream}`, placement);
          throw new Error(`${name} does not lead ${stream}`);
        },
        { timeoutMs: 20_000 },
      );
    }
  } finally {
    await nc.close();
  }
  return { leader, follower };
}
