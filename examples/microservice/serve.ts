// The process of the service: reads its configuration, serves until it is told to end, and ends in good order.
// NATS_URL=nats://127.0.0.1:4222 npm run example -- microservice/serve
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { getRequestListener } from "@hono/node-server";
import { EventStore } from "annal";
import { ActorHost } from "annal/actor";
import { account, type Bank } from "./account.ts";
import { type Config, readConfig } from "./config.ts";
import { createService } from "./service.ts";
import { startTelemetry } from "./telemetry.ts";

/** One line of JSON: what happened, for whoever collects logs. */
function log(event: string, facts: Readonly<Record<string, unknown>> = {}): void {
  console.log(JSON.stringify({ time: new Date(), event, ...facts }));
}

function logError(error: unknown): void {
  log("error", { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}

/** The first SIGTERM or SIGINT; a second one, whichever it is, ends the process at once. */
function untilTold(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let isTold = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      // not left to the system, which passes over signals without a listener where this is a container's first process
      if (isTold) process.exit(128 + constants.signals[signal]);
      isTold = true;
      resolve(signal);
    };
    process.on("SIGTERM", onSignal);
    process.on("SIGINT", onSignal);
  });
}

/** Serves until it is told to end. */
async function serve(config: Config): Promise<void> {
  const draining = new AbortController();
  const told = untilTold();
  const { servers, stream, replicas } = config;
  // in the order of their closing, backwards
  await using store = await EventStore.connect<Bank>({
    servers: [...servers],
    stream,
    replicas,
    name: "microservice",
    maxReconnectAttempts: -1,
  });
  await using telemetry = startTelemetry();
  await using accounts = await ActorHost.start(store, [account], {
    maxMailbox: config.maxWaiting,
    maxActors: config.maxActors,
    commandTimeoutMs: config.commandTimeoutMs,
  });
  telemetry.observe(() => accounts.status());
  const parts = { store, accounts, telemetry, draining: draining.signal, onError: logError };
  const listener = getRequestListener(createService(parts).fetch);
  const server = createServer((request, response) => void listener(request, response));
  log("listening", { port: await listen(server, config) });

  const signal = await told;
  log("draining", { signal });
  draining.abort();
  await delay(config.drainDelayMs);
  await endServer(server, config.drainTimeoutMs);
  log("closing");
}

/** @returns the port, which the system has chosen where 0 was asked for */
async function listen(server: Server, { host, port }: Config): Promise<number> {
  server.listen(port, host);
  await once(server, "listening");
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : port;
}

/** Takes no more connections, and waits for the requests under way; cuts those that take too long. */
async function endServer(server: Server, timeoutMs: number): Promise<void> {
  const tooLong = setTimeout(() => server.closeAllConnections(), timeoutMs);
  const ended = once(server, "close");
  server.close();
  await ended;
  clearTimeout(tooLong);
}

try {
  await serve(readConfig(process.env));
  log("ended");
} catch (error) {
  logError(error);
  process.exitCode = 1;
}
