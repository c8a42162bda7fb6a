/** `annal/server`: a nats-server that is simply there, for development, tests and demos. */
export { ServerStartError } from "../errors.ts";
export { DEFAULT_IMAGE, findServer, SERVER_PLACES } from "./find-server.ts";
export { startServer } from "./start-server.ts";
export { useServer } from "./use-server.ts";

export type {
  FindServerOptions,
  FoundBinary,
  FoundImage,
  FoundServer,
  ServerPlace,
} from "./find-server.ts";
export type { NatsServer } from "./nats-server.ts";
export type { OnServerProgress, ServerProgress } from "./progress.ts";
export type { SyncMode } from "./server-config.ts";
export type { StartServerOptions } from "./start-server.ts";
export type { UsedServer } from "./use-server.ts";
