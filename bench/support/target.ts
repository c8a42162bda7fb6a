import { randomBytes } from "node:crypto";
import {
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { startServer, useServer } from "../../src/server/index.ts";
import type { SyncMode } from "../../src/server/index.ts";
import { describeMachine, type Machine } from "./machine.ts";

/** A server under measurement, with the bare client library connected to it. */
export interface BenchTarget extends AsyncDisposable {
  readonly url: string;
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly machine: Machine;
  /** A stream name for one run, removed at the end. */
  freshStream(): string;
}

/** Which server to measure. */
export interface TargetOptions {
  /** When the server writes to the disk; the server of `NATS_URL` is taken for `"default"` only. */
  readonly sync: SyncMode;
}

/** Takes the server of `NATS_URL`, or starts one with a temporary store. */
export async function openTarget({ sync }: TargetOptions): Promise<BenchTarget> {
  const onProgress = ({ phase, message }: { phase: string; message: string }): void => {
    if (phase !== "start") console.error(message);
  };
  const server = await (sync === "default" ? useServer : startServer)({ sync, onProgress });
  const nc = await connect({ servers: server.url });
  const jsm = await jetstreamManager(nc);
  const streams: string[] = [];
  return {
    url: server.url,
    nc,
    js: jetstream(nc),
    jsm,
    machine: describeMachine(nc.info?.version ?? "unknown"),
    freshStream() {
      const name = `BENCH_${randomBytes(4).toString("hex").toUpperCase()}`;
      streams.push(name);
      return name;
    },
    async [Symbol.asyncDispose]() {
      for (const name of streams) await jsm.streams.delete(name).catch(() => false);
      await nc.close();
      await server[Symbol.asyncDispose]();
    },
  };
}
