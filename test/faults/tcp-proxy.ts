/** Between a client and a server on this machine: a network that falls silent, or loses a connection at the worst moment. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

type AtBytes = "cut before" | "cut after" | "silence" | "notice";

export interface TcpProxy {
  port: number;
  /** How many clients are connected now, and how many were at once at most. */
  readonly connections: { now: number; most: number };
  /** From now on nothing passes, and nobody is told: as behind a cable that was pulled. New connections are accepted, and get no answer. */
  silence(): void;
  /** New connections lead to this port from now on, as when a name leads to another machine. */
  lead(to: number): void;
  /** Passes what comes from now on. Connections that met silence stay silent, as those do that a firewall has forgotten. */
  pass(): void;
  /**
   * The next time a client sends these bytes its connection is lost, before they reach the server or before its answer reaches the client;
   * or everything falls silent; or nothing happens. Resolves then.
   */
  at(bytes: string, what: AtBytes): Promise<void>;
  close(): void;
}

export async function tcpProxy(first: number): Promise<TcpProxy> {
  let to = first;
  const pairs = new Set<{ client: Socket; server: Socket; isSilent: boolean }>();
  const connections = { now: 0, most: 0 };
  let isSilent = false;
  let trap: { bytes: string; what: AtBytes; sprung: () => void } | undefined;

  function silence(): void {
    isSilent = true;
    for (const pair of pairs) pair.isSilent = true;
  }

  const listener = createServer({ allowHalfOpen: true }, (client) => {
    const pair = { client, server: connect(to, "127.0.0.1"), isSilent };
    const { server } = pair;
    pairs.add(pair);
    connections.now += 1;
    connections.most = Math.max(connections.most, connections.now);
    let loses: (() => void) | undefined;
    const end = () => {
      client.destroy();
      server.destroy();
    };
    client.on("data", (bytes) => {
      if (pair.isSilent) return;
      if (trap !== undefined && bytes.includes(trap.bytes)) {
        const { what, sprung } = trap;
        trap = undefined;
        if (what === "cut after") loses = sprung;
        else sprung();
        if (what === "cut before") end();
        if (what === "silence") silence();
        if (what === "cut before" || what === "silence") return;
      }
      server.write(bytes);
    });
    server.on("data", (bytes) => {
      if (pair.isSilent) return;
      if (loses === undefined) return client.write(bytes);
      end();
      loses();
    });
    client.on("end", () => {
      if (!pair.isSilent) end();
    });
    for (const socket of [client, server]) {
      socket.on("error", () => {});
      socket.on("close", () => {
        if (pair.isSilent && socket === server) return; // the client is not told
        end();
      });
    }
    client.on("close", () => {
      pairs.delete(pair);
      connections.now -= 1;
    });
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");

  return {
    port: (listener.address() as AddressInfo).port,
    connections,
    silence,
    lead(port) {
      to = port;
    },
    pass() {
      isSilent = false;
    },
    at: (bytes, what) =>
      new Promise<void>((sprung) => {
        trap = { bytes, what, sprung };
      }),
    close() {
      listener.close();
      for (const { client, server } of pairs) {
        client.destroy();
        server.destroy();
      }
    },
  };
}
