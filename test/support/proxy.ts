/** A proxy that takes every name for this machine, and keeps what it was asked for. */
import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { onTestFinished } from "vitest";

/** `env` has Node's own clients go through it. */
export async function startProxy() {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    asked.push(request.url!);
    response.writeHead(502).end();
  });
  server.on("connect", (request: IncomingMessage, client: Socket) => {
    asked.push(request.url!);
    const service = connect(Number(request.url!.split(":")[1]), "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      service.pipe(client).pipe(service);
    });
    for (const end of [service, client]) {
      sockets.add(end);
      end.on("error", () => {});
    }
    client.on("close", () => service.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const names = { HTTPS_PROXY: url, HTTP_PROXY: url, https_proxy: url, http_proxy: url };
  return { asked, env: { NODE_USE_ENV_PROXY: "1", ...names } };
}
