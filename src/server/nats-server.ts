/**
 * A nats-server (or a cluster of them) that this process has started.
 *
 * It ends with `stop()`, at the end of an `await using` block, and in any case with this process, however that ends.
 */
export interface NatsServer extends AsyncDisposable {
  /** What clients connect to: `nats://127.0.0.1:<port>`, for a cluster those of all nodes, separated by commas. */
  readonly url: string;
  /** The server's HTTP monitoring; for a cluster that of its first node. */
  readonly monitorUrl: string;
  /** Version of the server, such as `2.12.1`. */
  readonly version: string;
  /** Folder of the store; for a cluster the folder that holds one for each node. Undefined in a container. */
  readonly storeDir: string | undefined;
  /** File that the server logs to; for a cluster that of its first node. */
  readonly logFile: string;
  /** Process id of the server while it runs here; undefined for a container, and for a cluster (ask its nodes). */
  readonly pid: number | undefined;
  /** The nodes of a cluster; a single server is its only node. */
  readonly nodes: readonly NatsServer[];

  /** Shuts the server down in good order and removes a temporary store. May be called again. */
  stop(): Promise<void>;
  /** Ends the server at once, as a crash would (SIGKILL); the store stays for `restart()`. */
  kill(): Promise<void>;
  /**
   * Starts the server again on the same port and store, after `kill()` or after shutting it down in good order.
   * A node of a cluster is waited for until it follows the cluster, unless too few nodes run for a majority.
   *
   * @throws ServerStartError where it does not come up
   * @throws ClosedError after `stop()`
   */
  restart(): Promise<void>;
  /** Freezes the server (SIGSTOP): connections stay open, nothing is answered. */
  pause(): Promise<void>;
  /** Lets a paused server go on (SIGCONT). */
  resume(): Promise<void>;
}
