/** A fake's HTTP server on 127.0.0.1 that can go away and come back on its port, and tells of every request and connection that comes or goes. */
import { once as event } from "node:events";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";

export interface FakeServer {
  readonly port: number;
  readonly inFlight: number;
  readonly mostInFlight: number;
  /** Open connections now. */
  readonly connections: number;
  /** Tells those who wait that something is otherwise. */
  changed(): void;
  /** Resolves when `done` is true, which it looks at whenever something changed. */
  until(done: () => boolean): Promise<void>;
  /** Refuses connections from now on, and cuts those that there are. */
  shut(): Promise<void>;
  /** Listens again, where it was shut. */
  open(): Promise<void>;
}

export interface FakeServerOptions {
  /** Not listening yet. */
  server: Server;
  serve(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** 0 for any. */
  port: number;
}

export async function startFakeServer({ server, serve, port: wanted }: FakeServerOptions): Promise<FakeServer> {
  const sockets = new Set<Socket>();
  const watchers = new Set<() => void>();
  let inFlight = 0;
  let mostInFlight = 0;

  const changed = () => {
    for (const look of watchers) look();
  };

  server.on("request", (request, response) => {
    inFlight += 1;
    mostInFlight = Math.max(mostInFlight, inFlight);
    response.on("close", () => {
      inFlight -= 1;
      changed();
    });
    void serve(request, response)
      .catch(() => response.destroy())
      .then(changed);
  });
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      changed();
    });
    changed();
  });
  await listen(wanted);
  const { port } = server.address() as AddressInfo;

  async function listen(at: number): Promise<void> {
    server.listen(at, "127.0.0.1");
    await event(server, "listening");
  }

  return {
    port,
    get inFlight() {
      return inFlight;
    },
    get mostInFlight() {
      return mostInFlight;
    },
    get connections() {
      return sockets.size;
    },
    changed,
    until(done) {
      return new Promise((resolve) => {
        const look = () => {
          if (!done()) return;
          watchers.delete(look);
          resolve();
        };
        watchers.add(look);
        look();
      });
    },
    async shut() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await event(server, "close");
    },
    async open() {
      if (!server.listening) await listen(port);
    },
  };
}
