/** What a request of HTTP/1.1 is for: metrics, a rpc, or another path (routes.ts). */
import type { IncomingMessage, RequestListener } from "node:http";
import { KmsError } from "../../errors.ts";
import type { Calls } from "../calls.ts";
import { outliveBody } from "./body.ts";
import { connectHandler } from "./connect.ts";
import { hostGuard } from "./host-guard.ts";
import { errorReply, noRoute, send } from "./route.ts";
import { type RouteParts, routesOf } from "./routes.ts";

export interface ListenerParts extends RouteParts {
  /** Address of gRPC, which alone has streams both ways. */
  grpcAddress: string;
  serveMetrics: RequestListener;
  /** Whether requests must name a loopback host: where nobody is authenticated, no page of another site may get in. */
  loopbackOnly: boolean;
}

export function httpListener(calls: Calls, parts: ListenerParts): RequestListener {
  const connect = connectHandler(calls, parts.grpcAddress);
  const routes = routesOf(calls, parts);
  const guard = hostGuard(parts.loopbackOnly);
  return (request, response) => {
    outliveBody(request, response);
    response.setHeader("x-content-type-options", "nosniff");
    const refuse = (error: KmsError, reply = errorReply(error)) => {
      calls.refuse(undefined, error);
      send(response, reply);
    };
    const target = targetOf(request);
    const refused = target ? guard(request) : otherTarget();
    if (!target || refused) return refuse(refused as KmsError);
    if (target.pathname === "/q/metrics" && request.method === "GET") return parts.serveMetrics(request, response);
    if (connect(target, { request, response })) return;
    const matching = routes.filter(({ path }) => path.test(target.pathname));
    const route = matching.find(({ method }) => method === request.method);
    if (!route) {
      const { error, reply } = noRoute(matching);
      return refuse(error, reply);
    }
    const path = route.path.exec(target.pathname) as RegExpExecArray;
    Promise.try(route.answer, { request, response, path, query: target.searchParams }).then(
      (reply) => send(response, reply),
      // A call was recorded; what fails otherwise is a bug.
      (error) => send(response, errorReply(error instanceof KmsError ? error : calls.refuse(undefined, error))),
    );
  };
}

/**
 * Undefined for a target that another reader of it may take for another: one that is no path, or whose path changes as it is made
 * normal, here or by a proxy before. A fragment is never sent. What `new URL` makes of `//host` relative to a base is not asked.
 */
function targetOf({ url = "" }: IncomingMessage): URL | undefined {
  const [path] = url.split("?", 1) as [string];
  const target = path.startsWith("/") ? URL.parse(`http://service${url}`) : null;
  if (target?.pathname !== path || /\/\/|%2e/i.test(path) || url.includes("#")) return undefined;
  return target;
}

function otherTarget(): KmsError {
  return new KmsError("INVALID_ARGUMENT", "the request target is not a path in its normal form");
}
