/** A bare TCP server with bounded connections, on a clock that the test moves. The test decides what each connection does. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { networkOf } from "../../src/limits/network-of.ts";
import type { Connection } from "../../src/transport/connections/open-connection.ts";
import type { ConnectionSettings } from "../../src/limits/connection-settings.ts";
import type { Connections } from "../../src/transport/connections/connections.ts";
import { newMs } from "../../src/transport/connections/strangers.ts";
import { clockedConnections, type ClockedConnections } from "./test-connections.ts";

export interface GuardedServer extends ClockedConnections {
  /** Connects from a loopback address, without waiting for the service. */
  start(from?: string): Client;
  /** Connects once the network may have one more, and waits until it is let in. */
  open(from?: string): Promise<Let>;
  /** Opens a connection on which somebody with a grant calls. */
  openCaller(from?: string): Promise<Let>;
  /** Connections that are open now, by who has them. */
  counts(): { callers: number; strangers: number };
}

export interface Client {
  socket: Socket;
  /** Resolves when the server has it. */
  entered: Promise<Let>;
  /** Resolves when it is closed. */
  closed: Promise<void>;
  isClosed(): boolean;
  hasEntered(): boolean;
}

/** A client that was let in, with the server's side of it. */
export interface Let extends Client {
  connection: Connection;
}

/** Ends with the test. */
export async function guardedServer(
  settings: Partial<ConnectionSettings> = {},
  host = "127.0.0.1",
): Promise<GuardedServer> {
  const bounds = clockedConnections(settings);
  const { connections, clock } = bounds;
  const arrivals = new Map<string, PromiseWithResolvers<Connection>>();
  /** The arrival of a client, which either side of its connection may ask for first. */
  const arrivalOf = (from: string, port: number) => {
    const key = `${networkOf(from)} ${port}`;
    const arrival = arrivals.get(key) ?? Promise.withResolvers<Connection>();
    arrivals.set(key, arrival);
    return arrival;
  };
  const server = createServer((socket) => {
    socket.on("error", () => {}).resume();
    arrivalOf(socket.remoteAddress!, socket.remotePort!).resolve(connections.of(socket)!);
  });
  server.listen(0, host);
  await once(server, "listening");
  connections.guard(server, "grpc");
  const { port } = server.address() as AddressInfo;
  const clients: Client[] = [];
  onTestFinished(async () => {
    for (const { socket } of clients) socket.destroy();
    connections.close();
    server.close();
  });

  const start: GuardedServer["start"] = (from = "127.0.0.1") => {
    const socket = connect({ port, host: from.includes(":") ? "::1" : "127.0.0.1", localAddress: from });
    socket.on("error", () => {}).resume();
    const ends = { isClosed: false, hasEntered: false };
    const closed = new Promise<void>((resolve) => socket.once("close", resolve)).then(() => {
      ends.isClosed = true;
    });
    const entered = once(socket, "connect").then(async () => {
      const connection = await arrivalOf(socket.localAddress!, socket.localPort!).promise;
      ends.hasEntered = true;
      return { ...client, connection };
    });
    const client: Client = {
      socket,
      closed,
      entered,
      isClosed: () => ends.isClosed,
      hasEntered: () => ends.hasEntered,
    };
    clients.push(client);
    return client;
  };
  const open: GuardedServer["open"] = (from) => {
    clock.ms += newMs;
    return start(from).entered;
  };
  return {
    ...bounds,
    start,
    open,
    async openCaller(from) {
      const client = await open(from);
      client.connection.called();
      return client;
    },
    counts: () => countsOf(connections),
  };
}

function countsOf(connections: Connections): ReturnType<GuardedServer["counts"]> {
  const sum = (wanted: string) =>
    connections.open().reduce((all, { state, count }) => all + (state === wanted ? count : 0), 0);
  return { callers: sum("caller"), strangers: sum("stranger") };
}
