/** Each rpc, health, reflection and each path of HTTP, with each single role and with none, by gRPC, Connect and JSON. */
import { create, type DescMethod, type Message, toBinary, toJsonString } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { SpanSchema } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { Health, HealthCheckRequestSchema } from "../../gen/ts/grpc/health/v1/health_pb.ts";
import { type Role, roleOf, roles } from "../../src/call/roles.ts";
import { plainSpan } from "../support/api-fixture.ts";
import {
  bearer,
  bearerHeaders,
  oneRoleEach,
  type PolicyService,
  startPolicyService,
  tokenPolicy,
} from "../support/policy-service.ts";

let service: PolicyService;
beforeAll(async () => {
  service = await startPolicyService(tokenPolicy(oneRoleEach));
});
afterAll(() => service.stop());

const unary = [KmsService, KeyAdminService, LogService]
  .flatMap(({ methods }): readonly DescMethod[] => methods)
  .filter(({ methodKind }) => methodKind === "unary");

/** Readable, and with a tenant where the request has one: what else is wrong with it comes behind the caller's role. */
function requestOf(method: DescMethod): Message {
  const request = create(method.input) as Message & { tenantId?: string; span?: object };
  if (request.tenantId !== undefined) request.tenantId = "acme";
  if (method.localName.endsWith("Span")) request.span = create(SpanSchema, plainSpan);
  return request;
}

async function byGrpc(method: DescMethod, token: string | undefined): Promise<grpc.status> {
  const request = toBinary(method.input, requestOf(method));
  return service.grpc.raw(method, request, {}, bearer(token)).then(
    () => grpc.status.OK,
    ({ code }) => code,
  );
}

async function byConnect(method: DescMethod, token: string | undefined): Promise<number> {
  const { status } = await fetch(`${service.url}/${method.parent.typeName}/${method.name}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...bearerHeaders(token) },
    body: toJsonString(method.input, requestOf(method)),
  });
  return status;
}

const refusals: readonly grpc.status[] = [grpc.status.UNAUTHENTICATED, grpc.status.PERMISSION_DENIED];

describe("attack 50: each rpc", () => {
  it.each(unary.map((method) => [method.name, method] as const))(
    "%s is for its role, and for no other",
    async (_, method) => {
      const needed: Role = roleOf[method.localName as keyof typeof roleOf];
      for (const role of roles) {
        const [grpcCode, httpStatus] = [
          await byGrpc(method, service.tokens[role]),
          await byConnect(method, service.tokens[role]),
        ];
        if (role === needed) {
          expect(refusals, `${role} by gRPC`).not.toContain(grpcCode);
          expect([401, 403], `${role} by Connect`).not.toContain(httpStatus);
        } else {
          expect(grpcCode, `${role} by gRPC`).toBe(grpc.status.PERMISSION_DENIED);
          expect(httpStatus, `${role} by Connect`).toBe(403);
        }
      }
    },
  );

  it.each(unary.map((method) => [method.name, method] as const))(
    "attack 1: %s is for nobody without a credential",
    async (_, method) => {
      expect(await byGrpc(method, undefined)).toBe(grpc.status.UNAUTHENTICATED);
      expect(await byConnect(method, undefined)).toBe(401);
    },
  );
});

const paths: readonly (readonly [verb: string, path: string, role: Role])[] = [
  ["GET", "/api/admin/kms/status", "status"],
  ["POST", "/api/admin/kms/rotate", "operate"],
  ["POST", "/api/admin/kms/validate", "operate"],
  ["GET", "/api/kms/tenants/acme/jwks.json", "verify"],
  ["GET", "/api/kms/tenants/acme/log/checkpoint", "verify"],
  ["GET", "/api/kms/tenants/acme/log/tile/0/000", "verify"],
  ["GET", "/q/metrics", "metrics"],
];

describe("attack 50: each path", () => {
  it.each(paths)("%s %s is for the role %s, and for no other", async (method, path, needed) => {
    const statusOf = async (token: string | undefined) => {
      const headers = { "content-type": "application/json", ...bearerHeaders(token) };
      const response = await fetch(`${service.url}${path}`, {
        method,
        headers,
        ...(method === "POST" && { body: "{}" }),
      });
      await response.arrayBuffer();
      return response.status;
    };
    for (const role of roles) {
      const status = await statusOf(service.tokens[role]);
      if (role === needed) expect([401, 403], role).not.toContain(status);
      else expect(status, role).toBe(403);
    }
    expect(await statusOf(undefined)).toBe(401);
  });
});

describe("attack 57: what is open", () => {
  const health = (token?: string) =>
    service.grpc.raw(
      Health.method.check,
      toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema)),
      {},
      bearer(token),
    );

  it("is health by gRPC, which never looks at credentials", async () => {
    expect((await health()).length).toBeGreaterThan(0);
    expect((await health("nonsense")).length).toBeGreaterThan(0);
  });

  it("is health by HTTP, whose data are for the role status", async () => {
    for (const role of [undefined, ...roles]) {
      const token = role && service.tokens[role];
      const response = await fetch(`${service.url}/q/health/ready`, { headers: bearerHeaders(token) });
      expect(response.status).toBe(200);
      const { checks } = (await response.json()) as { checks: { data?: object }[] };
      expect(
        checks.map(({ data }) => data !== undefined),
        role,
      ).toEqual([role === "status"]);
    }
    const response = await fetch(`${service.url}/q/health`, { headers: bearerHeaders("nonsense") });
    expect(response.status).toBe(200);
  });
});
