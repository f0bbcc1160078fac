/** What a request of HTTP/1.1 is for: metrics, a rpc, or another path (routes.ts); and who may ask for it. */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Caller } from "../../call/context.ts";
import type { MaybePromise } from "../../call/maybe-promise.ts";
import { roleOfPath } from "../../call/roles.ts";
import { KmsError } from "../../errors.ts";
import type { Time } from "../../runtime/time.ts";
import { type Open, stranger } from "../authenticate.ts";
import type { Calls } from "../pipeline.ts";
import { toKmsError } from "../error-status.ts";
import type { Connection } from "../connections/open-connection.ts";
import type { Connections } from "../connections/connections.ts";
import { outliveBody } from "./body.ts";
import type { BodyBudget } from "../connections/body-budget.ts";
import type { Exchange } from "./caller-context.ts";
import { connectHandler } from "../connect/unary.ts";
import { createCors } from "./cors.ts";
import { endBehind, type HttpDoor } from "./door.ts";
import { hostGuard } from "./host-guard.ts";
import { errorReply, noRoute, type Route, send } from "./route.ts";
import { type RouteParts, routesOf } from "./routes.ts";
import { hasGrant } from "./whoami.ts";

export interface ListenerParts extends RouteParts {
  door: HttpDoor;
  connections: Pick<Connections, "of">;
  bodies: BodyBudget;
  time: Time;
  /** Address of gRPC, which alone has streams both ways. */
  grpcAddress: string;
  serveMetrics: RequestListener;
  /** Sites whose pages may call. */
  allowedOrigins: readonly string[];
}

export function httpListener(calls: Calls, parts: ListenerParts): RequestListener {
  const { door, time } = parts;
  const { connect, routes, serve, refuseAnyone } = answersOf(calls, parts);
  const cors = createCors(parts.allowedOrigins);
  const guard = hostGuard(parts.loopbackOnly, cors);

  /** Whoever is refused at the door is told so in the protocol of the request, of which nothing more is read. */
  async function turnAway(target: URL, exchange: Exchange, thrown: unknown): Promise<void> {
    const { request } = exchange;
    const rpc = connect.rpcAt(target.pathname);
    const error = calls.refuseStranger(rpc, toKmsError(thrown), door.shownBy(request));
    door.count(request, error);
    if (exchange.caller === stranger) endBehind(exchange); // a caller at its limit comes back
    const reply = rpc ? await connect.refusal(exchange, error) : errorReply(error);
    if (reply.status === 401) reply.headers["www-authenticate"] = "Bearer";
    send(exchange.response, reply);
  }

  function letIn(target: URL, exchange: Exchange): Promise<void> | undefined {
    try {
      exchange.caller.limits?.call(false);
    } catch (error) {
      return turnAway(target, exchange, error);
    }
    door.count(exchange.request);
    serve(target, exchange);
    return undefined;
  }

  return (request, response) => {
    const arrivedMs = time.monotonicMs();
    outliveBody(request, response);
    const connection = parts.connections.of(request.socket);
    if (connection) countCall(connection, response);
    if (parts.loopbackOnly) connection?.called();
    setStandardHeaders(response);
    if (parts.isLeaving()) response.setHeader("connection", "close");
    cors.vary(response);
    const target = targetOf(request);
    const refused = target ? guard(request) : otherTarget();
    if (!target || refused) return refuseAnyone(response, refused as KmsError);
    if (connection?.isEnding() || door.isEnding(request)) response.setHeader("connection", "close");
    if (cors.preflight(request, response)) return;
    cors.expose(request, response);
    const exchange = (caller: Caller): Exchange => ({
      request,
      response,
      caller,
      arrivedMs,
      connection,
      bodies: parts.bodies,
      time,
    });
    const caller = door.openCaller(openAt(routes, target));
    if (caller) {
      connection?.answered();
      return serve(target, exchange(caller));
    }
    const identifying = identifies(routes, target);
    const enter = () => (identifying ? door.identify(request) : door.enter(request));
    onceKnown(enter, {
      letIn(each) {
        if (response.destroyed) return undefined;
        // Whom no rule names is told who it is, and is a stranger.
        if (!identifying || hasGrant(each)) connection?.called();
        else connection?.answered();
        return letIn(target, exchange(each));
      },
      turnAway(error) {
        connection?.refused();
        return turnAway(target, exchange(stranger), error);
      },
      broken(bug) {
        calls.refuse(undefined, bug); // or the process would end
        response.destroy();
      },
    });
  };
}

/** What answers whom the door has let in. */
function answersOf(calls: Calls, parts: ListenerParts) {
  const { door } = parts;
  const connect = connectHandler(calls, parts.grpcAddress);
  const routes = [metricsRoute, ...routesOf(calls, parts)];

  function serve(target: URL, exchange: Exchange): void {
    const { request, response } = exchange;
    if (/^100-continue$/i.test(request.headers.expect ?? "")) response.writeContinue();
    if (connect.answer(target, exchange)) return;
    const matching = routes.filter(({ path }) => path.test(target.pathname));
    // Node leaves the body out of what answers HEAD.
    const asked = request.method === "HEAD" ? "GET" : request.method;
    const route = matching.find(({ method }) => method === asked);
    if (!route) {
      const { error, reply } = noRoute(matching);
      refuse(response, error, reply);
      return;
    }
    if (route === metricsRoute) {
      serveMetrics(exchange);
      return;
    }
    const path = route.path.exec(target.pathname) as RegExpExecArray;
    Promise.try(route.answer, { ...exchange, path, query: target.searchParams }).then(
      (reply) => send(response, reply),
      // A call was recorded; what fails otherwise is a bug.
      (error) => send(response, errorReply(error instanceof KmsError ? error : calls.refuse(undefined, error))),
    );
  }

  function serveMetrics({ request, response, caller }: Exchange): void {
    if (door.isOpen("metrics") || caller.has(roleOfPath.metrics)) parts.serveMetrics(request, response);
    else refuse(response, new KmsError("PERMISSION_DENIED", "the caller may not metrics for all tenants"));
  }

  function refuse(response: ServerResponse, error: KmsError, reply = errorReply(error)): void {
    calls.refuse(undefined, error);
    send(response, reply);
  }

  /** Whoever it is: under a policy it may be a stranger, who must not fill the log. */
  function refuseAnyone(response: ServerResponse, error: KmsError): void {
    if (parts.loopbackOnly) refuse(response, error);
    else {
      calls.refuseStranger(undefined, error, {});
      send(response, errorReply(error));
    }
  }

  return { connect, routes, serve, refuseAnyone };
}

interface Entering {
  letIn(caller: Caller): Promise<void> | undefined;
  turnAway(error: unknown): Promise<void>;
  broken(bug: unknown): void;
}

function onceKnown(enter: () => MaybePromise<Caller>, { letIn, turnAway, broken }: Entering): void {
  try {
    const entering = enter();
    if (entering instanceof Promise) entering.then(letIn, turnAway).catch(broken);
    else letIn(entering)?.catch(broken);
  } catch (error) {
    turnAway(error).catch(broken);
  }
}

function countCall(connection: Connection, response: ServerResponse): void {
  connection.began();
  response.once("close", () => connection.ended());
}

function setStandardHeaders(response: ServerResponse): void {
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("cache-control", "no-store"); // unless an answer says another
}

const metricsRoute: Route = {
  method: "GET",
  path: /^\/q\/metrics$/,
  open: "metrics",
  answer: () => {
    throw new Error("metrics are written by their exporter");
  },
};

function openAt(routes: readonly Route[], { pathname }: URL): Open | undefined {
  return routes.find(({ open, path }) => open !== undefined && path.test(pathname))?.open;
}

function identifies(routes: readonly Route[], { pathname }: URL): boolean {
  return routes.some((route) => route.identifies === true && route.path.test(pathname));
}

/**
 * Undefined for a target that another reader of it may take for another: one that is no path, or whose path changes as it is made
 * normal, here or by a proxy before. A fragment is never sent. What `new URL` makes of `//host` relative to a base is not asked.
 */
export function targetOf({ url = "" }: IncomingMessage): URL | undefined {
  const [path] = url.split("?", 1) as [string];
  const target = path.startsWith("/") ? URL.parse(`http://service${url}`) : null;
  if (target?.pathname !== path || /\/\/|%2e/i.test(path) || url.includes("#")) return undefined;
  return target;
}

function otherTarget(): KmsError {
  return new KmsError("INVALID_ARGUMENT", "the request target is not a path in its normal form");
}
