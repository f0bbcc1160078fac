/** The local socket: HTTP/1.1 for operators beside the process, on a closed list of paths. It is open until all else has drained. */
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import { KmsError } from "../../errors.ts";
import type { Time } from "../../runtime/time.ts";
import type { Calls } from "../pipeline.ts";
import { createBodyBudget } from "../connections/body-budget.ts";
import { outliveBody } from "../http/body.ts";
import type { Exchange } from "../http/caller-context.ts";
import { targetOf } from "../http/listener.ts";
import { errorReply, noRoute, send } from "../http/route.ts";
import { limits } from "../http/server.ts";
import { localChanges, type LocalChangeParts } from "./changes.ts";
import { cpuProfiler } from "./profiler.ts";
import { localCaller, type LocalRouteParts, localRoutes } from "./served-paths.ts";
import { listenAt } from "./socket.ts";

export interface LocalParts extends LocalChangeParts, Omit<LocalRouteParts, "changes" | "profiler"> {
  path: string;
  calls: Pick<Calls, "route" | "refuse">;
  serveMetrics: RequestListener;
  log: Logger;
  time: Time;
}

/** More than any operator needs; those past it are closed at once. */
const maxConnections = 32;
const maxBodiesBytes = 4 * 1024 * 1024;
/** Time that answers have when the process ends, and a refused caller to close. */
const graceMs = 1_000;

export async function startLocal(parts: LocalParts): Promise<{ close(): Promise<void> }> {
  const { path, log, time } = parts;
  const profiler = cpuProfiler(time);
  const routes = localRoutes(parts.calls, { ...parts, changes: localChanges(parts), profiler });
  const bodies = createBodyBudget(time.monotonicMs, maxBodiesBytes);

  function serve(request: IncomingMessage, response: ServerResponse): void {
    outliveBody(request, response);
    // One request a connection: what else is in it is not looked at.
    response.setHeader("connection", "close");
    const target = targetOf(request);
    if (target?.pathname === "/q/metrics" && request.method === "GET") {
      parts.serveMetrics(request, response);
      return;
    }
    const matching = target === undefined ? [] : routes.filter((route) => route.path.test(target.pathname));
    const route = matching.find(({ method }) => method === request.method);
    if (target === undefined || route === undefined) {
      const { error, reply } = noRoute(matching);
      parts.calls.refuse(undefined, error);
      send(response, reply);
      return;
    }
    const exchange: Exchange = {
      request,
      response,
      caller: localCaller,
      arrivedMs: time.monotonicMs(),
      connection: undefined,
      bodies,
      time,
    };
    const found = route.path.exec(target.pathname) as RegExpExecArray;
    Promise.try(route.answer, { ...exchange, path: found, query: target.searchParams }).then(
      (reply) => send(response, reply),
      (error) => send(response, errorReply(error instanceof KmsError ? error : parts.calls.refuse(undefined, error))),
    );
  }

  const server = createServer(limits, serve);
  server.maxConnections = maxConnections;
  server.maxRequestsPerSocket = 1;
  server.on("checkExpectation", serve);
  server.on("clientError", (_error, socket) => refuse(socket as Socket, time));
  const letGo = await listenAt(server, path);
  log.info(`status, validation and diagnosis for this user on unix:${path}`);
  return {
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      profiler.stop();
      const force = time.after(graceMs, () => server.closeAllConnections()).ref();
      server.closeIdleConnections();
      await closed;
      time.clear(force);
      letGo();
    },
  };
}

/** For what is no request, such as the first bytes of HTTP/2. A caller who does not close keeps no place for long. */
function refuse(socket: Socket, time: Time): void {
  if (!socket.writable) return void socket.destroy();
  socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
  const forced = time.after(graceMs, () => socket.destroy());
  socket.once("close", () => time.clear(forced));
}
