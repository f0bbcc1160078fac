/**
 * The closed list of what the local socket serves: paths of the HTTP port that are about the service as a whole, and two that exist here alone. No
 * rpc, no tenant's key or log, and no change of a key is among them.
 */
import { create } from "@bufbuild/protobuf";
import { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { StatusRequestSchema, ValidateRequestSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import type { Caller } from "../../call/context.ts";
import type { Role } from "../../call/roles.ts";
import { invalidField, KmsError } from "../../errors.ts";
import type { HealthMonitor } from "../../health/monitor.ts";
import type { KmsHandlers } from "../../service/kms/handlers.ts";
import { kmsMethods } from "../../service/kms/handlers.ts";
import type { Calls } from "../pipeline.ts";
import { validateJson } from "../http/admin-json.ts";
import { readBody } from "../http/body.ts";
import { httpContext } from "../http/caller-context.ts";
import { type Asked, askedCarrier, bodyCarrier, jsonReply, type Route } from "../http/route.ts";
import { healthRoute } from "../http/routes.ts";
import { statusJson } from "../http/status-json.ts";
import { checkedObject } from "../strict-json.ts";
import type { LocalChanges } from "./changes.ts";
import type { CpuProfiler } from "./profiler.ts";

/** Whoever reaches the socket: the service's own user, and root. No policy names it, as names in policies have a colon before them. */
export const localCaller: Caller = {
  name: "local",
  credential: undefined,
  authorize() {
    throw noTenants();
  },
  every(role) {
    if (!served.has(role)) throw new KmsError("PERMISSION_DENIED", `the local socket does not ${role}`);
  },
  has: (role, tenantId) => tenantId === undefined && served.has(role),
  rule: () => undefined,
};

const served: ReadonlySet<Role> = new Set<Role>(["status", "operate", "metrics"]);

function noTenants(): KmsError {
  return invalidField("tenant_id", "the local socket serves no tenant; ask the service by its HTTP address");
}

export interface LocalRouteParts {
  handlers: Pick<KmsHandlers, "status" | "validate">;
  health: HealthMonitor;
  providerName: string;
  changes: LocalChanges;
  profiler: CpuProfiler;
}

const { validate, status } = KmsService.method;
const maxSeconds = 60;
const maxBodyBytes = 4_096;

export function localRoutes({ route }: Pick<Calls, "route">, parts: LocalRouteParts): Route[] {
  const { handlers, health, providerName, changes, profiler } = parts;
  return [
    healthRoute(health, async () => providerName),
    {
      method: "GET",
      path: /^\/api\/admin\/kms\/status$/,
      answer: route(
        { rpc: status, audit: kmsMethods.status.audit, handler: handlers.status },
        {
          decode(_, { query }: Asked) {
            if (query.size > 0) throw noTenants();
            return create(StatusRequestSchema);
          },
          encode: (answer) => jsonReply(statusJson(answer)),
        },
        askedCarrier,
      ),
    },
    {
      method: "POST",
      path: /^\/api\/admin\/kms\/validate$/,
      answer: route(
        { rpc: validate, audit: kmsMethods.validate.audit, handler: handlers.validate },
        {
          decode(body, { query }: Asked) {
            if (query.size > 0 || Object.keys(checkedObject(body)).length > 0) throw noTenants();
            return create(ValidateRequestSchema);
          },
          encode: (answer) => jsonReply(validateJson(answer)),
        },
        bodyCarrier,
      ),
    },
    { method: "GET", path: /^\/api\/admin\/kms\/log-level$/, answer: () => jsonReply(changes.logLevel()) },
    {
      method: "POST",
      path: /^\/api\/admin\/kms\/log-level$/,
      async answer(asked) {
        const { level, ...more } = checkedObject(await readBody(asked, maxBodyBytes));
        if (Object.keys(more).length > 0) throw invalidField("", "log-level takes the member level alone");
        await changes.setLogLevel(level);
        return jsonReply(changes.logLevel());
      },
    },
    {
      method: "POST",
      path: /^\/api\/admin\/kms\/cpu-profile$/,
      async answer(asked) {
        const seconds = secondsIn(asked.query);
        const { signal } = httpContext(asked);
        return jsonReply(await profiler.take(seconds, signal, () => changes.noteProfile(seconds)));
      },
    },
  ];
}

function secondsIn(query: URLSearchParams): number {
  const text = query.get("seconds") ?? "";
  const seconds = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (query.size === 1 && seconds >= 1 && seconds <= maxSeconds) return seconds;
  throw invalidField("seconds", `must be a whole number from 1 to ${maxSeconds}`);
}
