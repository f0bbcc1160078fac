/** Has each connection of a server seen before the server has it. */
import type { Server, Socket } from "node:net";

/** Connections come paused: nothing is read of one until `pass` is called, and whoever listens now has it. */
export function interceptConnections(server: Server, see: (socket: Socket, pass: () => void) => void): void {
  const listeners = server.listeners("connection");
  server.removeAllListeners("connection");
  (server as Server & { pauseOnConnect: boolean }).pauseOnConnect = true;
  server.on("connection", (socket) => {
    if (socket.remoteAddress === undefined) return socket.destroy(); // its client has gone meanwhile
    see(socket, () => {
      for (const listener of listeners) listener.call(server, socket);
      // What listens may have paused it by itself, as a server of TLS does not read it but what lies below.
      if (socket.isPaused()) socket.resume();
    });
  });
}
