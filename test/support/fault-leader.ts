import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { NatsServer } from "../../src/server/index.ts";
import { eventually } from "./server.ts";

/** The node of a cluster that leads a stream. */
export async function leaderOf(cluster: NatsServer, stream: string): Promise<NatsServer> {
  const nc = await connect({ servers: cluster.url.split(","), ignoreClusterUpdates: true });
  try {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    return await eventually(async (): Promise<NatsServer> => {
      const leading = (await manager.streams.info(stream)).cluster?.leader;
      const leader = cluster.nodes.find((_, at) => leading === `annal-${at + 1}`);
      if (leader === undefined) throw new Error("no leader is known");
      return leader;
    });
  } finally {
    await nc.close();
  }
}
