/**
 * The paths that operators and verifiers know, beside Connect: the front page, health, administration, public keys and logs. Administration
 * answers with the same handlers as the rpcs, in JSON of its own shape (admin-json.ts, status-json.ts).
 */
import type { IncomingMessage } from "node:http";
import { create } from "@bufbuild/protobuf";
import { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { StatusRequestSchema, ValidateRequestSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import type { HealthMonitor, HealthReport } from "../../health/monitor.ts";
import { type KmsHandlers, kmsMethods } from "../../service/kms/handlers.ts";
import type { LogHandlers } from "../../service/log/handlers.ts";
import { roleOfPath } from "../../call/roles.ts";
import type { Calls } from "../pipeline.ts";
import { checkedObject } from "../strict-json.ts";
import { jwksText, rotateJson, rotateRequest, tenantIdOf, validateJson } from "./admin-json.ts";
import { type Asked, askedCarrier, bodyCarrier, jsonHeaders, jsonReply, type Reply, type Route } from "./route.ts";
import type { HttpDoor } from "./door.ts";
import { frontPage } from "./front-page/front-page.ts";
import { statusJson } from "./status-json.ts";
import { logRoutes } from "./tile-routes.ts";
import { whoamiRoute } from "./whoami.ts";

export interface RouteParts {
  /** Handlers of KmsService, by which administration answers. */
  handlers: KmsHandlers;
  logs: LogHandlers;
  health: HealthMonitor;
  providerName: string;
  door: HttpDoor;
  grpcPort: number;
  /** Whether requests must name a loopback host: where nobody is authenticated, no page of another site may get in. */
  loopbackOnly: boolean;
  /** Whether every answer ends its connection, so that the caller comes back on another, of another replica. */
  isLeaving(): boolean;
}

const { validate, status, rotate, getPublicKeys } = KmsService.method;

export function routesOf({ route }: Pick<Calls, "route">, parts: RouteParts): Route[] {
  const { handlers, logs, health, providerName, door } = parts;
  /** Health is for everybody; what it says beside its state is for those who may ask for Status. */
  async function seesDetails(request: IncomingMessage): Promise<boolean> {
    try {
      return (await door.enter(request)).has(roleOfPath.healthDetails);
    } catch {
      return false;
    }
  }

  return [
    ...logRoutes({ route }, logs),
    whoamiRoute(door),
    frontPageRoute(parts),
    healthRoute(health, async (request) => ((await seesDetails(request)) ? providerName : undefined)),
    {
      method: "POST",
      path: /^\/api\/admin\/kms\/validate$/,
      answer: route(
        { rpc: validate, audit: kmsMethods.validate.audit, handler: handlers.validate },
        {
          decode: (body) => create(ValidateRequestSchema, { tenantId: tenantIdOf(checkedObject(body)) }),
          encode: (answer) => jsonReply(validateJson(answer)),
        },
        bodyCarrier,
      ),
    },
    {
      method: "GET",
      path: /^\/api\/admin\/kms\/status$/,
      answer: route(
        { rpc: status, audit: kmsMethods.status.audit, handler: handlers.status },
        {
          decode: (_, { query }: Asked) => create(StatusRequestSchema, { tenantId: query.get("tenant_id") ?? "" }),
          encode: (answer) => jsonReply(statusJson(answer)),
        },
        askedCarrier,
      ),
    },
    {
      method: "POST",
      path: /^\/api\/admin\/kms\/rotate$/,
      answer: route(
        { rpc: rotate, audit: kmsMethods.rotate.audit, handler: handlers.rotate },
        {
          decode: (body) => rotateRequest(checkedObject(body)),
          encode: (answer) => jsonReply(rotateJson(answer)),
        },
        bodyCarrier,
      ),
    },
    {
      method: "GET",
      path: /^\/api\/kms\/tenants\/([^/]+)\/jwks\.json$/,
      open: "public-keys",
      answer: route(
        { rpc: getPublicKeys, audit: kmsMethods.publicKeySet.audit, handler: handlers.publicKeySet },
        {
          decode: (_, { path }: Asked) => ({ tenantId: path[1] as string }),
          encode: (keySet): Reply => ({ headers: jsonHeaders, body: jwksText(keySet) }),
        },
        askedCarrier,
      ),
    },
  ];
}

/** `providerFor` names the provider to those who may know more than the state. */
export function healthRoute(
  health: HealthMonitor,
  providerFor: (request: IncomingMessage) => Promise<string | undefined>,
): Route {
  return {
    method: "GET",
    path: /^\/q\/health(\/ready|\/live)?$/,
    open: "health",
    async answer({ path, request }) {
      const provider = await providerFor(request);
      return healthReply(health.current(), provider, path[1] === "/live");
    },
  };
}

/**
 * Open as health is, and tells no more. That the service ends, each answer of health tells too, by closing its connection. The status is 200
 * in every state: probes ask health. Host is the client's own text, and never repeated; without authentication it names this machine.
 */
function frontPageRoute({ health, door, grpcPort, loopbackOnly, isLeaving }: RouteParts): Route {
  const stateNow = () => (isLeaving() ? "ending" : health.current().status === "down" ? "not-ready" : "ready");
  return {
    method: "GET",
    path: /^\/$/,
    open: "health",
    answer({ request: { headers, socket } }) {
      const scheme = "encrypted" in socket ? "https" : "http";
      const address = loopbackOnly ? `${scheme}://localhost:${socket.localPort}` : undefined;
      return frontPage({ state: stateNow(), grpcPort, openMetrics: door.isOpen("metrics"), address }, headers.accept);
    },
  };
}

/** The shape of MicroProfile Health, which operators read with jq. */
function healthReply(report: HealthReport, provider: string | undefined, live: boolean): Reply {
  if (live) return jsonReply({ status: "UP", checks: [{ name: "kms", status: "UP" }] });
  const status = report.status === "down" ? "DOWN" : "UP";
  const data = provider && { provider, latency_ms: Math.round(report.latencyMs), status: report.status };
  return jsonReply({ status, checks: [{ name: "kms", status, ...(data && { data }) }] }, status === "UP" ? 200 : 503);
}
