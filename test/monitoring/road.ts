/** The way to a database or a service: it can be blocked, and lead to another port. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Road {
  port: number;
  /** Cuts all connections, and each new one at once. */
  block(): void;
  /** Undoes `block`. */
  open(): void;
  /** Has whatever goes either way arrive so much later. */
  slow(byMs: number): void;
  /** Leads each new connection to this port. */
  lead(to: number): void;
  close(): void;
}

export async function roadTo(port: number): Promise<Road> {
  const sockets = new Set<Socket>();
  let isBlocked = false;
  let to = port;
  let laterByMs = 0;
  const pass = (bytes: Buffer | string, on: Socket): void => {
    if (laterByMs === 0) on.write(bytes);
    else setTimeout(() => on.write(bytes), laterByMs);
  };
  const listener = createServer((client) => {
    if (isBlocked) return void client.destroy();
    const server = connect(to, "127.0.0.1");
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        server.destroy();
      });
    }
    client.on("data", (bytes) => pass(bytes, server));
    server.on("data", (bytes) => pass(bytes, client));
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  return {
    port: (listener.address() as AddressInfo).port,
    block() {
      isBlocked = true;
      for (const socket of sockets) socket.destroy();
    },
    open() {
      isBlocked = false;
    },
    slow(byMs) {
      laterByMs = byMs;
    },
    lead(next) {
      to = next;
    },
    close() {
      listener.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
