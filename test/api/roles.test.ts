/** Health and each path of HTTP, with each single role and with none. What each rpc asks of its caller is in matrix/. */
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Health, HealthCheckRequestSchema } from "../../gen/ts/grpc/health/v1/health_pb.ts";
import { type Role, roles } from "../../src/call/roles.ts";
import { bearer, bearerHeaders, type RunningService, startService } from "../support/running-service.ts";
import { oneRoleEach, tokenPolicy } from "../support/token-policy.ts";

const { tokens, files } = tokenPolicy(oneRoleEach);
let service: RunningService;
beforeAll(async () => {
  service = await startService({}, { files });
});
afterAll(() => service.stop());

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
      const status = await statusOf(tokens[role]);
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
      const token = role && tokens[role];
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
