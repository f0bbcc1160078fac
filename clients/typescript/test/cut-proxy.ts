/** A proxy of TCP that cuts its connections when it is told to, or lets nobody through for a while. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface CutProxy {
  /** `127.0.0.1:port` */
  address: string;
  /** Resets all connections there are. */
  cut(): void;
  /** While it is closed, connections end at once. */
  setOpen(isOpen: boolean): void;
  /** Bytes that came back from the service so far. */
  answered(): number;
  stop(): Promise<void>;
}

/** `targetOf` is asked for each connection, so that the service may move. */
export async function startCutProxy(targetOf: () => string): Promise<CutProxy> {
  const sockets = new Set<Socket>();
  let [isOpen, answered] = [true, 0];
  const server = createServer((client) => {
    if (!isOpen) {
      client.destroy();
      return;
    }
    const [host, port] = targetOf().split(":");
    const service = connect(Number(port), host!);
    for (const [from, to] of [
      [client, service],
      [service, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
    service.on("data", ({ length }) => {
      answered += length;
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut,
    setOpen(open) {
      isOpen = open;
      if (!open) cut();
    },
    answered: () => answered,
    async stop() {
      cut();
      await once(server.close(), "close");
    },
  };
}
