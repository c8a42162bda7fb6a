import { startServer, type StartServerOptions } from "./start-server.ts";

/** A server to work with, whoever started it. */
export interface UsedServer extends AsyncDisposable {
  readonly url: string;
  /** Whether it was started here, and so ends here; false for the one that `NATS_URL` names. */
  readonly started: boolean;
}

/**
 * Gives the server that `NATS_URL` names, else starts one. For programs that should run anywhere, such as demos and
 * tests; disposing ends only what was started.
 *
 * @throws as `startServer`
 *
 * @example
 * await using server = await useServer({ onProgress: ({ message }) => console.error(message) });
 */
export async function useServer(options: StartServerOptions = {}): Promise<UsedServer> {
  const url = (options.env ?? process.env)["NATS_URL"];
  if (url !== undefined && url !== "") {
    return { url, started: false, [Symbol.asyncDispose]: async () => {} };
  }
  const server = await startServer(options);
  return { url: server.url, started: true, [Symbol.asyncDispose]: () => server.stop() };
}
