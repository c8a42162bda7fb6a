import { randomUUID } from "node:crypto";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { NatsServer } from "../../../src/server/index.ts";
import { eventually } from "../../support/server.ts";

/** Runs `work` with a connection of its own. */
export async function withConnection<T>(
  url: string,
  work: (nc: NatsConnection) => Promise<T>,
): Promise<T> {
  const nc = await connect({ servers: url.split(",") });
  try {
    return await work(nc);
  } finally {
    await nc.close();
  }
}

/** Creates the stream where it is missing and stores one message in it. */
export async function storeOne(url: string, stream: string, replicas = 1): Promise<void> {
  await withConnection(url, async (nc) => {
    const manager = await jetstreamManager(nc);
    await manager.streams.add({ name: stream, subjects: [`${stream}.>`], num_replicas: replicas });
    // a new stream of several replicas may have nobody who answers yet; by its id it is stored once
    const msgID = randomUUID();
    await eventually(() => jetstream(nc).publish(`${stream}.a`, "x", { msgID }));
  });
}

/** How many messages the stream holds. */
export async function countStored(url: string, stream: string): Promise<number> {
  return withConnection(url, async (nc) => {
    const manager = await jetstreamManager(nc);
    return (await manager.streams.info(stream)).state.messages;
  });
}

/** The server's variables as its monitoring shows them. */
export async function readVariables(server: NatsServer): Promise<unknown> {
  return (await fetch(`${server.monitorUrl}/varz`)).json();
}

/** Whether a process of this id exists. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** The process id of a server that must have one. */
export function pidOf(server: NatsServer): number {
  if (server.pid === undefined) throw new Error(`${server.url} has no process here`);
  return server.pid;
}
