import type { NatsServer } from "../server/nats-server.ts";
import { startServer, type StartServerOptions } from "../server/start-server.ts";
import type { EventMap } from "../store/event.ts";
import { EventStore } from "../store/event-store.ts";
import type { StoreOptions } from "../store/options.ts";

/** How to open a store for tests. */
export interface TestStoreOptions<Events extends EventMap = EventMap>
  extends Omit<StoreOptions<Events>, "stream"> {
  /** @default "TEST" */
  readonly stream?: string | undefined;
  /** How to start the server. @default a free port, a temporary folder, writes to the disk as the server sees fit */
  readonly server?: StartServerOptions | undefined;
}

/** A store on a server of its own; both are gone at the end of an `await using` block. */
export interface TestStore<Events extends EventMap = EventMap> extends AsyncDisposable {
  readonly store: EventStore<Events>;
  /** To be killed and restarted, paused and resumed. */
  readonly server: NatsServer;
  /** What other clients connect to. */
  readonly url: string;
}

/**
 * Starts a nats-server with a temporary folder, and opens a store on it: for integration tests that share nothing.
 * Starting takes about a tenth of a second; tests that can share a server may open a stream each on the `url` of one.
 *
 * @throws {ServerStartError} no server was found, or it does not start
 * @throws {InvalidArgumentError} naming the option
 * @example
 * await using test = await testStore<Bank>();
 * await test.store.append(alice, [deposited], { expectedVersion: "none" });
 */
export async function testStore<Events extends EventMap = EventMap>(
  options: TestStoreOptions<Events> = {},
): Promise<TestStore<Events>> {
  const { server: serverOptions, stream = "TEST", ...others } = options;
  const { signal } = others;
  const server = await startServer({ sync: "default", signal, ...serverOptions });
  try {
    const servers = server.url.split(",");
    const store = await EventStore.connect<Events>({ ...others, servers, stream });
    const dispose = async (): Promise<void> => {
      try {
        await store.close();
      } finally {
        await server.stop();
      }
    };
    return { store, server, url: server.url, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
