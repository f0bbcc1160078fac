/**
 * The paths that operators and verifiers know, beside Connect: health, metrics, administration, public keys and logs.
 * Administration answers with the same handlers as the rpcs, in JSON of its own shape (admin-json.ts).
 */
import type { IncomingMessage, RequestListener } from "node:http";
import { create, type JsonObject } from "@bufbuild/protobuf";
import { StatusRequestSchema, ValidateRequestSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { KmsError } from "../../errors.ts";
import type { Caller } from "../../call/context.ts";
import type { HealthMonitor } from "../../health/monitor.ts";
import type { KmsHandlers } from "../../service/kms/handlers.ts";
import type { LogHandlers } from "../../service/log/handlers.ts";
import { jwksText, rotateJson, rotateRequest, tenantIdOf, validateJson } from "./admin-json.ts";
import { maxAdminBodyBytes, outliveBody, readBody } from "./body.ts";
import type { ConnectHandler } from "./connect.ts";
import { healthJson } from "./health-json.ts";
import { hostGuard } from "./host-guard.ts";
import { httpContext } from "./caller-context.ts";
import { checkedObject } from "../strict-json.ts";
import { logRoutes } from "./tile-routes.ts";
import { errorReply, jsonHeaders, jsonReply, noRoute, type Route, send } from "./route.ts";
import { statusJson } from "./status-json.ts";
import { toKmsError } from "../error-status.ts";
import type { CallRecorder } from "../call-recorder.ts";

export interface HttpParts {
  /** Of KmsService: administration answers with them. */
  handlers: KmsHandlers;
  logs: LogHandlers;
  connect: ConnectHandler;
  recorder: CallRecorder;
  caller: Caller;
  health: HealthMonitor;
  providerName: string;
  serveMetrics: RequestListener;
  /** Whether requests must name a loopback host: where nobody is authenticated, no page of another site may get in. */
  loopbackOnly: boolean;
}

export function httpListener(parts: HttpParts): RequestListener {
  const { connect, recorder, caller, serveMetrics } = parts;
  const routes = routesOf(parts);
  const guard = hostGuard(parts.loopbackOnly);
  return (request, response) => {
    outliveBody(request, response);
    response.setHeader("x-content-type-options", "nosniff");
    const refuse = (error: KmsError, reply = errorReply(error)) => {
      recorder.refuse(undefined, error);
      send(response, reply);
    };
    const target = targetOf(request);
    const refused = target ? guard(request) : otherTarget();
    if (!target || refused) return refuse(refused as KmsError);
    if (target.pathname === "/q/metrics" && request.method === "GET") return serveMetrics(request, response);
    if (connect(target, { request, response })) return;
    const matching = routes.filter(({ path }) => path.test(target.pathname));
    const route = matching.find(({ method }) => method === request.method);
    if (!route) {
      const { error, reply } = noRoute(matching);
      return refuse(error, reply);
    }
    const context = httpContext({ request, response }, caller);
    const run = () => route.answer(request, context, route.path.exec(target.pathname) as RegExpExecArray);
    const header = (name: string) => request.headers[name]?.toString();
    const answer = async () => (route.rpc ? recorder.run(route.rpc, header, run) : run());
    answer().then(
      (reply) => send(response, reply),
      (error) => send(response, errorReply(route.rpc ? toKmsError(error) : recorder.refuse(undefined, error))),
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

function routesOf({ handlers, logs, health, providerName }: HttpParts): Route[] {
  return [
    ...logRoutes(logs),
    {
      method: "GET",
      path: /^\/q\/health(\/ready|\/live)?$/,
      answer(_request, _context, path) {
        const { body, status } = healthJson(health.current(), providerName, path[1] === "/live");
        return jsonReply(body, status);
      },
    },
    {
      method: "POST",
      path: /^\/api\/admin\/kms\/validate$/,
      rpc: KmsService.method.validate,
      async answer(request, context) {
        const tenantId = tenantIdOf(await readObject(request));
        return jsonReply(validateJson(await handlers.validate(create(ValidateRequestSchema, { tenantId }), context)));
      },
    },
    {
      method: "GET",
      path: /^\/api\/admin\/kms\/status$/,
      rpc: KmsService.method.status,
      async answer(request, context) {
        const tenantId = targetOf(request)?.searchParams.get("tenant_id") ?? "";
        return jsonReply(statusJson(await handlers.status(create(StatusRequestSchema, { tenantId }), context)));
      },
    },
    {
      method: "POST",
      path: /^\/api\/admin\/kms\/rotate$/,
      rpc: KmsService.method.rotate,
      async answer(request, context) {
        return jsonReply(rotateJson(await handlers.rotate(rotateRequest(await readObject(request)), context)));
      },
    },
    {
      method: "GET",
      path: /^\/api\/kms\/tenants\/([^/]+)\/jwks\.json$/,
      rpc: KmsService.method.getPublicKeys,
      async answer(_request, context, path) {
        const keySet = await handlers.publicKeySet({ tenantId: path[1] as string }, context);
        return { headers: jsonHeaders, body: jwksText(keySet) };
      },
    },
  ];
}

async function readObject(request: IncomingMessage): Promise<JsonObject> {
  return checkedObject(await readBody(request, maxAdminBodyBytes));
}
