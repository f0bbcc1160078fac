/** A TCP proxy whose connections are lost in the midst of a message, and whose server may go away and come again elsewhere. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface CuttingProxy {
  port: number;
  /** Connections that were lost until now, by a budget or by `cut`. */
  readonly cuts: number;
  /** Port or address of the server; undefined refuses every connection. */
  to(port: number | undefined): void;
  /** Loses the connections that there are. */
  cut(): void;
  close(): void;
}

export interface ProxyOptions {
  /** How many bytes, both ways together, the next connection passes before it is lost; undefined: as many as come. */
  budget?: () => number | undefined;
  onCut?: (cuts: number) => void;
  /** Gets how many bytes came from the server until now, through all connections. */
  onReceived?: (received: number) => void;
}

export async function startCuttingProxy({ budget, onCut, onReceived }: ProxyOptions = {}): Promise<CuttingProxy> {
  const pairs = new Set<() => void>();
  let target: number | undefined;
  let received = 0;
  let cuts = 0;

  function lose(end: () => void): void {
    end();
    cuts += 1;
    onCut?.(cuts);
  }

  function pair(client: Socket, port: number): void {
    const server = connect(port, "127.0.0.1");
    let left = budget?.() ?? Number.POSITIVE_INFINITY;
    const end = () => {
      pairs.delete(end);
      client.destroy();
      server.destroy();
    };
    pairs.add(end);
    const pass = (from: Socket, to: Socket, counted: (bytes: number) => void) => {
      from.on("data", (bytes: Buffer) => {
        const part = bytes.subarray(0, Math.max(0, Math.min(left, bytes.length)));
        left -= bytes.length;
        counted(part.length);
        if (!pairs.has(end)) return;
        if (left > 0) {
          if (!to.write(part)) from.pause();
        } else {
          to.write(part, () => {
            if (pairs.has(end)) lose(end);
          });
        }
      });
      to.on("drain", () => from.resume());
      from.on("error", end);
      from.on("close", end);
    };
    pass(client, server, () => {});
    pass(server, client, (bytes) => {
      received += bytes;
      onReceived?.(received);
    });
  }

  const listener = createServer((client) => {
    client.on("error", () => {});
    if (target === undefined) client.destroy();
    else pair(client, target);
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");

  return {
    port: (listener.address() as AddressInfo).port,
    get cuts() {
      return cuts;
    },
    to(port) {
      target = port;
    },
    cut() {
      for (const end of [...pairs]) lose(end);
    },
    close() {
      listener.close();
      for (const end of [...pairs]) end();
    },
  };
}
