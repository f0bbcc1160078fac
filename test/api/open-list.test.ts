/** Attack 57: what is open without a credential under each list, on both ports. */
import { create, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Health, HealthCheckRequestSchema } from "../../gen/ts/grpc/health/v1/health_pb.ts";
import { bearer, bearerHeaders, type RunningService, startService } from "../support/running-service.ts";
import { oneRoleEach, tokenPolicy } from "../support/token-policy.ts";
import { askReflection } from "../support/reflection-client.ts";

const names = ["health", "metrics", "public-keys", "reflection"] as const;
type Name = (typeof names)[number];

const paths: readonly [path: string, open: Name | undefined, role: string][] = [
  ["/", "health", "sign"],
  ["/q/health", "health", "sign"],
  ["/q/health/ready", "health", "sign"],
  ["/q/health/live", "health", "sign"],
  ["/q/metrics", "metrics", "metrics"],
  ["/api/kms/tenants/acme/jwks.json", "public-keys", "verify"],
  ["/api/kms/tenants/acme/log/checkpoint", "public-keys", "verify"],
  ["/api/kms/tenants/acme/log/tile/0/000", "public-keys", "verify"],
  ["/api/admin/kms/status", undefined, "status"],
  ["/api/kms/whoami", undefined, "sign"],
  ["/nothing", undefined, "sign"],
];

const lists: readonly (readonly Name[] | undefined)[] = [undefined, ...names.map((name) => [name]), names];

const { tokens, files } = tokenPolicy(oneRoleEach);

describe.each(lists.map((list) => [list?.join(", ") ?? "health, as no list is given", list] as const))(
  "open to everybody is %s",
  (_, list) => {
    let service: RunningService;
    beforeAll(async () => {
      const properties = list && { "fluo.kms.open": list.join(",") };
      service = await startService(properties, { files });
    });
    afterAll(() => service.stop());
    const isOpen = (name: Name | undefined) => name !== undefined && (list ?? ["health"]).includes(name);

    const get = async (path: string, headers: Record<string, string> = {}) => {
      const response = await fetch(service.url + path, { headers });
      return { status: response.status, body: await response.text() };
    };
    const health = (token?: string) =>
      service.grpc
        .raw(
          Health.method.check,
          toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema)),
          {},
          bearer(token),
        )
        .then(
          () => grpc.status.OK,
          ({ code }) => code as grpc.status,
        );
    const reflection = (version: "v1" | "v1alpha", token?: string) =>
      askReflection(`127.0.0.1:${service.grpcPort}`, version, { listServices: "" }, bearer(token)).then(
        ({ listServicesResponse }) => listServicesResponse!.service.length > 0,
        ({ code }) => code as grpc.status,
      );

    it.each(paths)("%s", async (path, open, role) => {
      for (const headers of [{}, bearerHeaders("nonsense"), { authorization: "Basic x" }]) {
        const { status } = await get(path, headers);
        if (isOpen(open)) expect([200, 404]).toContain(status);
        else expect(status).toBe(401);
      }
      expect([200, 404]).toContain((await get(path, bearerHeaders(tokens[role]))).status);
    });

    it("by gRPC: health, and reflection in both of its versions", async () => {
      const { OK, UNAUTHENTICATED } = grpc.status;
      for (const token of [undefined, "nonsense"]) {
        expect(await health(token)).toBe(isOpen("health") ? OK : UNAUTHENTICATED);
        for (const version of ["v1", "v1alpha"] as const) {
          expect(await reflection(version, token)).toBe(isOpen("reflection") ? true : UNAUTHENTICATED);
        }
      }
      expect(await health(tokens.sign)).toBe(OK);
      expect(await reflection("v1", tokens.sign)).toBe(true);
      expect(await service.grpc.raw("signSpan", Buffer.alloc(0)).catch(({ code }) => code)).toBe(UNAUTHENTICATED);
    });

    it("the details of health are for status alone", async () => {
      const detailed = async (token?: string) =>
        (await get("/q/health/ready", bearerHeaders(token))).body.includes('"data"');
      expect(await detailed(tokens.status)).toBe(true);
      for (const token of [undefined, "nonsense", tokens.sign, tokens.metrics]) {
        expect(await detailed(token)).toBe(false);
      }
    });
  },
);
