/** A program that starts a server, says where, and waits to be killed. */
import { startServer } from "../../../src/server/index.ts";

const server = await startServer(process.argv[2] === "cluster" ? { cluster: 3 } : {});
const pids = server.nodes.map((node) => node.pid);
process.stdout.write(`${JSON.stringify({ pids, storeDir: server.storeDir })}\n`);
if (process.argv[2] === "exit") process.exit(0);
if (process.argv[2] === "paused") {
  await server.pause();
  process.stdout.write("paused\n");
}
