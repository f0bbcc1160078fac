/** The lines of FLUO's quickstart, by curl and jq where the machine has them. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { grpcurl, startTools, type ToolsService } from "./tools.ts";

let service: ToolsService;
beforeAll(async () => {
  service = await startTools();
});
afterAll(async () => {
  await service.end();
});

const hasCurl = spawnSync("curl", ["--version"]).status === 0;
const hasJq = spawnSync("jq", ["--version"]).status === 0;

async function get(path: string, method: "GET" | "POST" = "GET"): Promise<string> {
  if (!hasCurl && service.curlOptions.length === 0) return (await fetch(service.http + path, { method })).text();
  const args = ["-s", "-X", method, ...service.curlOptions, service.http + path];
  const { status, stdout } = spawnSync("curl", args, { encoding: "utf8" });
  expect(status).toBe(0);
  return stdout;
}

describe.skipIf(!hasCurl && inject("access") === "policy")("the quickstart", () => {
  it("selects the check named kms from readiness", async () => {
    const ready = await get("/q/health/ready");
    const check = hasJq
      ? JSON.parse(spawnSync("jq", ['.checks[] | select(.name=="kms")'], { input: ready, encoding: "utf8" }).stdout)
      : JSON.parse(ready).checks.find(({ name }: { name: string }) => name === "kms");
    expect(check).toEqual({
      name: "kms",
      status: "UP",
      data: { provider: "local", latency_ms: expect.any(Number), status: "operational" },
    });
  });

  it.each(["/q/health", "/q/health/live"])("finds %s up", async (path) => {
    expect(JSON.parse(await get(path))).toMatchObject({ status: "UP" });
  });

  it("validates", async () => {
    expect(JSON.parse(await get("/api/admin/kms/validate", "POST"))).toMatchObject({
      provider: "local",
      overall: "PASS",
      tests: {
        generate_data_key: expect.stringMatching(/^PASS \(/),
        encrypt: expect.stringMatching(/^PASS \(/),
        decrypt: expect.stringMatching(/^PASS \(/),
        key_retrieval_cache_miss: expect.stringMatching(/^PASS \(/),
        key_retrieval_cache_hit: expect.stringMatching(/^PASS \(/),
      },
      latency_ms: {
        generate_data_key: expect.any(Number),
        cache_miss: expect.any(Number),
        cache_hit: expect.any(Number),
      },
      recommendations: expect.any(Array),
    });
  });

  it("shows the status", async () => {
    expect(JSON.parse(await get("/api/admin/kms/status"))).toMatchObject({ provider: "local", status: "operational" });
  });

  it("finds the metrics that dashboards use, once each has something to count", async () => {
    const name = { trace_id: "W47/95gDgQPSabYzgT/GDA==", span_id: "7uGbfsPBsXQ=", name: "approve-loan" };
    grpcurl(service, "SignSpan", { tenant_id: "acme", span: name });
    grpcurl(service, "SignSpan", { tenant_id: "acme", span: name });
    expect(() => grpcurl(service, "SignSpan", { tenant_id: "Acme", span: name })).toThrow("InvalidArgument");
    const metrics = (await get("/q/metrics")).split("\n");
    expect(metrics).toContain('kms_cache_hit_total{key_type="signing"} 1');
    expect(metrics).toContain('kms_cache_miss_total{key_type="signing"} 1');
    expect(metrics).toContain('kms_errors_total{operation="SignSpan",code="INVALID_ARGUMENT"} 1');
    expect(metrics).toContainEqual(
      expect.stringMatching(/^kms_retrieve_signing_key_seconds_bucket\{cached="true",le=/),
    );
    expect(metrics).toContainEqual(
      expect.stringMatching(/^kms_retrieve_signing_key_seconds_count\{cached="false"\} 1/),
    );
  });
});
