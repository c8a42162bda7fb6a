import { once } from "node:events";
import { createServer, type Socket } from "node:net";

/** Something that listens where a client looks for a server. */
export interface Listener extends AsyncDisposable {
  readonly url: string;
}

/** Listens, and says what `onConnection` says. */
async function listen(onConnection: (socket: Socket) => void): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `nats://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Takes connections and never says a word. */
export function startSilence(): Promise<Listener> {
  return listen(() => {});
}

/** The handshake of a nats-server of some version (INFO, then a PONG for each PING), and nothing else. */
export function startHandshake(version: string): Promise<Listener> {
  const info = { server_id: "FIXTURE", version, proto: 1, headers: true, max_payload: 1_048_576 };
  return listen((socket) => {
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (chunk) => {
      for (const line of chunk.toString("latin1").split("\r\n")) {
        if (line === "PING") socket.write("PONG\r\n");
      }
    });
  });
}

/** A URL at which nobody listens. */
export async function vacantUrl(): Promise<string> {
  const listener = await listen(() => {});
  await listener[Symbol.asyncDispose]();
  return listener.url;
}
