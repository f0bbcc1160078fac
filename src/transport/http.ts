/**
 * The paths that operators and verifiers know, beside Connect: health, metrics, administration, public keys and logs.
 * Administration answers with the same handlers as the rpcs, in JSON of its own shape (admin-json.ts).
 */
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { create } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { errorToJson } from "@connectrpc/connect/protocol-connect";
import { StatusRequestSchema, ValidateRequestSchema } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { invalidField, KmsError } from "../errors.ts";
import type { Caller } from "../service/context.ts";
import type { HealthMonitor } from "../service/health.ts";
import type { KmsHandlers } from "../service/kms-service.ts";
import type { LogHandlers } from "../service/log.ts";
import { jwksText, rotateJson, rotateRequest, statusJson, tenantIdOf, validateJson } from "./admin-json.ts";
import { countBody, outliveBody, readBody } from "./body.ts";
import type { Budget } from "./budget.ts";
import { callContext, callerLeft } from "./call-context.ts";
import { healthJson } from "./health-json.ts";
import { hostGuard } from "./host-guard.ts";
import { logRoutes } from "./log-paths.ts";
import { jsonHeaders, jsonReply, type Route, send, sendError, sendNoRoute } from "./route.ts";
import { rpcPath, type Served } from "./served.ts";
import { toConnectError, toKmsError } from "./status.ts";
import type { CallRecorder } from "./telemetry.ts";

export interface HttpParts {
  /** Of KmsService: administration answers with them. */
  handlers: KmsHandlers;
  logs: LogHandlers;
  connect: RequestListener;
  /** What `connect` serves. */
  services: readonly Served[];
  recorder: CallRecorder;
  budget: Budget;
  caller: Caller;
  health: HealthMonitor;
  providerName: string;
  serveMetrics: RequestListener;
  /** Whether requests must name a loopback host: where nobody is authenticated, no page of another site may get in. */
  loopbackOnly: boolean;
}

const maxTimerMs = 2 ** 31 - 1;

export function httpListener(parts: HttpParts): RequestListener {
  const { connect, recorder, budget, caller, serveMetrics } = parts;
  const routes = routesOf(parts);
  const guard = hostGuard(parts.loopbackOnly);
  const rpcs = new Map(
    parts.services.flatMap(({ service }) => service.methods).map((method) => [`/${rpcPath(method)}`, method]),
  );
  const rpcOf = ({ url = "" }: IncomingMessage) => rpcs.get(url.split("?", 1)[0] as string);
  return (request, response) => {
    outliveBody(request, response);
    const url = targetOf(request);
    if (!url) return sendError(response, new KmsError("INVALID_ARGUMENT", "the request target is not a path"));
    const refused = guard(request);
    if (refused) return sendError(response, refused);
    if (url.pathname === "/q/metrics" && request.method === "GET") return serveMetrics(request, response);
    if (url.pathname.startsWith("/fluo.kms.v1.")) {
      if (hasBase64(url)) return heldByConnect(request, response);
      const error = toConnectError(recorder.refuse(rpcOf(request), invalidField("message", "is not base64")));
      return send(response, jsonReply(errorToJson(error, undefined), 400));
    }
    const matching = routes.filter(({ path }) => path.test(url.pathname));
    const route = matching.find(({ method }) => method === request.method);
    if (!route) return sendNoRoute(response, matching);
    const context = callContext(caller, (abort) => {
      const leave = () => !response.writableFinished && abort(callerLeft());
      if (request.destroyed && !request.complete) leave();
      response.once("close", leave);
    });
    const run = () => route.answer(request, context, route.path.exec(url.pathname) as RegExpExecArray);
    const header = (name: string) => request.headers[name]?.toString();
    const answer = async () => (route.rpc ? recorder.run(route.rpc, header, run) : run());
    answer().then(
      (reply) => send(response, reply),
      (error) => sendError(response, route.rpc ? toKmsError(error) : recorder.refuse(undefined, error)),
    );
  };

  /** The body counts until the answer is sent. What does not fit is refused by connect-node, in the caller's protocol. */
  function heldByConnect(request: IncomingMessage, response: ServerResponse): void {
    // Longer than a timer of Node's runs, which is as good as none.
    if (Number(request.headers["connect-timeout-ms"]) > maxTimerMs) delete request.headers["connect-timeout-ms"];
    const answered = new Promise((resolve) => response.once("close", resolve));
    budget.hold(0, (grow) => {
      countBody(request, (bytes) => {
        try {
          grow(bytes);
        } catch (error) {
          throw toConnectError(recorder.refuse(rpcOf(request), error));
        }
      });
      connect(request, response);
      return answered;
    });
  }
}

/** Connect's GET carries the message in its query. What connect-node cannot decode there it would call its own fault. */
function hasBase64({ searchParams }: URL): boolean {
  if (searchParams.get("base64") !== "1") return true;
  try {
    base64Decode(searchParams.get("message") ?? "");
    return true;
  } catch {
    return false;
  }
}

/** Undefined for what is no path. Not relative to a base: of `//`, which anyone can send, `new URL` makes an exception. */
function targetOf({ url = "" }: IncomingMessage): URL | undefined {
  return (url.startsWith("/") && URL.parse(`http://service${url}`)) || undefined;
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
        const tenantId = tenantIdOf(await readJson(request));
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
        return jsonReply(rotateJson(await handlers.rotate(rotateRequest(await readJson(request)), context)));
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

/** A JSON object, or an empty one for an empty body. */
async function readJson(request: IncomingMessage): Promise<Record<string, unknown>> {
  const body = await readBody(request);
  if (body.length === 0) return {};
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (cause) {
    throw new KmsError("INVALID_ARGUMENT", "the body is not valid JSON", { cause });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw invalidField("", "the body is not a JSON object");
  return json as Record<string, unknown>;
}
