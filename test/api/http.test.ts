/** The paths that operators and verifiers know. */
import { once } from "node:events";
import { Agent, request as httpRequest } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { expectNoStack, getJson, plainSpan, postJson } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

const admin = (path: string) => `${kms.url}/api/admin/kms/${path}`;
const metrics = async (service = kms) => (await fetch(`${service.url}/q/metrics`)).text();

async function providerCalls(): Promise<unknown> {
  return (await getJson(admin("status"))).body.cost.provider_calls;
}

/** fetch keeps Host and Origin to itself, so these go by node:http. */
function requestWith(headers: Record<string, string>, path: string, method = "GET", body = "") {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const target = { host: "127.0.0.1", port: kms.httpPort, path, method, headers, agent: false } as const;
    const request = httpRequest(target, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode as number, body: text }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

describe("/q/health", () => {
  it("has MicroProfile's shape, ready and live", async () => {
    const check = {
      name: "kms",
      status: "UP",
      data: { provider: "local", latency_ms: expect.any(Number), status: "operational" },
    };
    for (const path of ["/q/health", "/q/health/ready"]) {
      const { status, body, headers } = await getJson(kms.url + path);
      expect([status, body]).toEqual([200, { status: "UP", checks: [check] }]);
      expect(headers.get("content-type")).toBe("application/json");
    }
    const live = await getJson(`${kms.url}/q/health/live`);
    expect([live.status, live.body]).toEqual([200, { status: "UP", checks: [{ name: "kms", status: "UP" }] }]);
  });

  it("costs no call to the provider", async () => {
    await kms.grpc.generateDataKey({ tenantId: "health" });
    const before = await providerCalls();
    for (let round = 0; round < 20; round += 1) await getJson(`${kms.url}/q/health/ready`);
    expect(await providerCalls()).toEqual(before);
  });
});

describe("POST /api/admin/kms/validate", () => {
  it("says on local what is always true of this configuration, and at last what to switch to for production", async () => {
    const { body } = await postJson(admin("validate"), "");
    expect(body.recommendations.at(-1)).toMatch(/^For production switch to fluo\.kms\.provider=aws/);
    expect(body.recommendations).toContainEqual(expect.stringContaining("Authentication is none"));
    expect(body.recommendations.join()).not.toContain("heads file"); // the store is in memory
  });

  it("answers in the shape that operators read with jq", async () => {
    for (const body of ["", "{}", { tenant_id: "acme" }]) {
      const answer = await postJson(admin("validate"), body);
      expect(answer.status).toBe(200);
      expect(answer.body).toMatchObject({ provider: "local", overall: "PASS", recommendations: expect.any(Array) });
      for (const name of [
        "generate_data_key",
        "encrypt",
        "decrypt",
        "key_retrieval_cache_miss",
        "key_retrieval_cache_hit",
      ]) {
        expect(answer.body.tests[name]).toMatch(/^PASS \([\d.]+ms\)$/);
      }
      expect(Object.keys(answer.body.latency_ms)).toEqual(["generate_data_key", "cache_miss", "cache_hit"]);
      for (const ms of Object.values(answer.body.latency_ms)) expect(ms).toBeTypeOf("number");
      const unknown = { region: null, rotation: null, clock_skew_ms: null };
      const key = { provider: "local", key_id: expect.stringMatching(/^local:/), state: "in this process", ...unknown };
      expect(answer.body).toMatchObject({ key, other_keys: [] });
    }
  });

  it("tells what it cost by itself, whoever else calls the provider meanwhile", async () => {
    const others = Array.from({ length: 20 }, (_, n) => kms.grpc.generateDataKey({ tenantId: `meanwhile-${n}` }));
    const answers = await Promise.all([1, 2, 3].map(() => postJson(admin("validate"), "")));
    await Promise.all(others);
    for (const { body } of answers) {
      expect(body.provider_calls).toMatchObject({ inspect: 1, generate_data_key: 2, encrypt: 2, decrypt: 7 });
    }
  });

  it("keeps no key of its probe", async () => {
    await postJson(admin("validate"), { tenant_id: "probed" });
    expect((await getJson(admin("status?tenant_id=probed"))).body.keys).toEqual({ data: {}, signing: {} });
  });

  it("refuses a malformed tenant", async () => {
    const { status, body } = await postJson(admin("validate"), { tenant_id: "A" });
    expect([status, body.code, body.fields[0].field]).toEqual([400, "INVALID_ARGUMENT", "tenant_id"]);
  });
});

describe("GET /api/admin/kms/status", () => {
  it("has every member, also on a service without keys", async () => {
    const { status, body } = await getJson(admin("status"));
    expect(status).toBe(200);
    expect(body).toMatchObject({
      provider: "local",
      status: "operational",
      latency_ms: expect.any(Number),
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      uptime_seconds: expect.any(Number),
      store: "memory",
      store_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      provider_keys: [
        {
          provider: "local",
          key_id: expect.stringMatching(/^local:/),
          region: null,
          condition: "answering",
          detail: "in this process",
          since: expect.stringMatching(/Z$/),
          latency_ms: expect.any(Number),
        },
      ],
      cache_ttl_seconds: 3_600,
      max_stale_seconds: 14_400,
      rotation: { enabled: true, max_age_days: 90, next: expect.stringMatching(/T02:00:00/), due: 0, failed: 0 },
      breakers: [{ name: "local", state: "closed" }],
      cost: {
        provider_calls_per_day: expect.any(Number),
        charged_calls_per_day: expect.any(Number),
        cost_per_month: expect.any(Number),
        provider_keys: 1,
        prices: { per_10000_calls: 0.03, per_key_month: 1, currency: "USD", charged: "all" },
        key_loads: { first: expect.any(Number), refreshed: 0, expired: 0, doubted: 0 },
        projections: [{ ttl_seconds: 1_800 }, { ttl_seconds: 3_600 }, { ttl_seconds: 7_200 }],
        example: {
          requests_per_second: 1_000,
          cache_hit_rate: 0.8,
          calls_per_day: 17_280_000,
          cost_per_month: 1_556.2,
        },
        uncertainty: expect.stringMatching(/less than an hour/),
      },
      memory: { implementation: expect.stringMatching(/^(sodium|node)$/), locked: expect.any(Boolean) },
      notices: expect.any(Array),
    });
    for (const keyType of ["data", "signing", "public"]) {
      expect(Object.keys(body.cache[keyType])).toEqual(["hits", "misses", "evictions", "size", "max_size", "stale"]);
    }
  });

  it("counts one tenant's keys with tenant_id, and refuses a malformed one", async () => {
    await kms.grpc.signSpan({ tenantId: "counted", span: plainSpan });
    expect((await getJson(admin("status?tenant_id=counted"))).body.keys).toEqual({ data: {}, signing: { ACTIVE: 1 } });
    const refused = await getJson(admin("status?tenant_id=a%0Ab"));
    expect([refused.status, refused.body.fields[0].field]).toEqual([400, "tenant_id"]);
  });
});

describe("POST /api/admin/kms/rotate", () => {
  it("rotates, skips and says so", async () => {
    const { keyId } = await kms.grpc.generateDataKey({ tenantId: "http-rotated" });
    const rotated = await postJson(admin("rotate"), { tenant_id: "http-rotated", force: true });
    expect(rotated.body).toEqual({
      rotated: [
        {
          tenant_id: "http-rotated",
          purpose: "data",
          key_id: expect.stringMatching(/^[0-9a-f]{32}$/),
          version: 2,
          retired_key_id: keyId,
        },
      ],
      skipped: [],
      failed: [],
      remaining: 0,
      dry_run: false,
    });
    const skipped = await postJson(admin("rotate"), { tenant_id: "http-rotated", purpose: "data" });
    expect(skipped.body.skipped).toMatchObject([{ version: 2, reason: expect.stringContaining("not due until") }]);
    expect((await postJson(admin("rotate"), "")).body).toMatchObject({ rotated: [], remaining: 0 });
  });

  it.each<[string, unknown, number, string | undefined]>([
    ["a misspelt dry_run", { tenant_id: "safe", force: true, dryRun: true }, 400, "dryRun"],
    ["a member called __proto__", '{"tenant_id":"safe","__proto__":{"force":true}}', 400, "__proto__"],
    ["a member called constructor", { tenant_id: "safe", constructor: 1 }, 400, "constructor"],
    ["force as text", { tenant_id: "safe", force: "true" }, 400, "force"],
    ["null as a tenant", { tenant_id: null }, 400, "tenant_id"],
    ["an unknown purpose", { tenant_id: "safe", purpose: "toString" }, 400, "purpose"],
    ["another unknown purpose", { tenant_id: "safe", purpose: "everything" }, 400, "purpose"],
    ["a limit with a fraction", { limit: 1.5 }, 400, "limit"],
    ["a negative limit", { limit: -1 }, 400, "limit"],
    ["a limit past all doubles", '{"limit":1e400}', 400, "limit"],
    ["a limit that a double rounds", '{"limit":10.00000000000000000001}', 400, "limit"],
    ["a number past all doubles as a purpose", '{"purpose":1e400}', 400, "purpose"],
    ["a number past all doubles alone", "1e400", 400, undefined],
    ["a limit of 1,001", { limit: 1001 }, 400, "limit"],
    ["a request_id without a tenant", { request_id: "r" }, 400, "request_id"],
    ["a malformed tenant", { tenant_id: "Safe" }, 400, "tenant_id"],
    ["a list", "[]", 400, ""],
    ["a number", "5", 400, ""],
    ["half a JSON", '{"tenant_id":', 400, undefined],
    ["bytes that are not UTF-8", Buffer.of(0x22, 0xff, 0x22), 400, undefined],
    ["a body over 64 KiB", " ".repeat(65_537), 429, undefined],
  ])("refuses %s, and rotates nothing", async (_what, request, status, field) => {
    const { keyId } = await kms.grpc.generateDataKey({ tenantId: "safe" });
    const answer = await postJson(admin("rotate"), request);
    expect(answer.status).toBe(status);
    expect(answer.body).toEqual({ code: expect.any(String), message: expect.any(String), fields: expect.any(Array) });
    if (field !== undefined) expect(answer.body.fields.map((wrong: { field: string }) => wrong.field)).toEqual([field]);
    expectNoStack(answer.body.message);
    expect((await kms.grpc.generateDataKey({ tenantId: "safe" })).keyId).toBe(keyId);
  });

  it("names an unknown member of any length in a short error", async () => {
    const { body } = await postJson(admin("rotate"), { ["m".repeat(60_000)]: 1 });
    expect(body.fields[0].field).toBe(`${"m".repeat(64)}…`);
    expect(JSON.stringify(body).length).toBeLessThan(1000);
  });

  it("names at most 16 members that are wrong", async () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`m${index}`, 1]));
    expect((await postJson(admin("rotate"), many)).body.fields).toHaveLength(16);
  });

  it("is 404 for a tenant without keys, and 409 for a request_id with another body", async () => {
    expect((await postJson(admin("rotate"), { tenant_id: "nobody" })).status).toBe(404);
    await kms.grpc.generateDataKey({ tenantId: "again" });
    const request = { tenant_id: "again", request_id: "r-1", force: true };
    const first = await postJson(admin("rotate"), request);
    expect((await postJson(admin("rotate"), request)).body).toEqual(first.body);
    const other = await postJson(admin("rotate"), { ...request, purpose: "data" });
    expect([other.status, other.body.code]).toEqual([409, "REQUEST_ID_REUSED"]);
  });
});

describe("GET /api/kms/tenants/{tenant}/jwks.json", () => {
  it("gives a tenant's public keys as a JWK set, the retired ones too", async () => {
    const { keyId } = await kms.grpc.signSpan({ tenantId: "published", span: plainSpan });
    await kms.grpc.rotate({ tenantId: "published", force: true });
    const { status, body } = await getJson(`${kms.url}/api/kms/tenants/published/jwks.json`);
    expect(status).toBe(200);
    const jwk = { kty: "OKP", crv: "Ed25519", x: expect.stringMatching(/^[\w-]{43}$/), alg: "EdDSA", use: "sig" };
    expect(body.keys).toMatchObject([
      { ...jwk, kid: keyId, version: 1, state: "RETIRED", valid_until: expect.stringMatching(/Z$/) },
      {
        ...jwk,
        version: 2,
        state: "ACTIVE",
        valid_from: expect.stringMatching(/Z$/),
        valid_until: null,
        compromised_at: null,
      },
    ]);
  });

  it("has all of them, where they are more than a page", async () => {
    const tenantId = "many-versions";
    await kms.grpc.signSpan({ tenantId, span: plainSpan });
    const rotations = 120;
    for (let i = 0; i < rotations; i += 1)
      await kms.grpc.rotate({ tenantId, purpose: KeyPurpose.SIGNING, force: true });
    const { status, body } = await getJson(`${kms.url}/api/kms/tenants/${tenantId}/jwks.json`);
    const versions = Array.from({ length: rotations + 1 }, (_, i) => i + 1);
    expect([status, body.keys.map(({ version }: { version: number }) => version)]).toEqual([200, versions]);
  });

  it("is empty for a tenant without keys, and refuses what is no tenant", async () => {
    expect((await getJson(`${kms.url}/api/kms/tenants/nobody/jwks.json`)).body).toEqual({ keys: [], handovers: [] });
    for (const tenant of ["ACME", "__proto__", "a%2Fb", "%00", "a".repeat(64)]) {
      const { status, body } = await getJson(`${kms.url}/api/kms/tenants/${tenant}/jwks.json`);
      expect([status, body.fields[0].field]).toEqual([400, "tenant_id"]);
    }
  });
});

describe("/q/metrics", () => {
  it("shows every counter on a fresh start, and no tenant, scope or host", async () => {
    const fresh = await startService();
    try {
      const text = await metrics(fresh);
      for (const name of [
        'kms_cache_hit_total{key_type="data"} 0',
        'kms_cache_miss_total{key_type="signing"} 0',
        'kms_cache_evictions_total{key_type="public"} 0',
        'kms_cache_size{key_type="data"} 0',
        'kms_cache_loads_total{key_type="signing",reason="refreshed"} 0',
        'kms_provider_requests_total{operation="inspect"} 0',
        'kms_provider_lies_total{lie="zero-key",scope="service"} 0',
        "kms_rotation_success_total 0",
        'kms_rotation_failures_total{scope="service"} 0',
        'kms_rotation_failures_total{scope="tenant"} 0',
        'kms_calls_total{rpc_method="SignSpan",outcome="server_fault"} 0',
        'kms_errors_total{operation="SignSpan",code="UNAVAILABLE"} 0',
        "kms_ready 1",
        'kms_keys{purpose="data",state="ACTIVE"} 0',
        'kms_spans_signed_total{mode="individual"} 0',
        'kms_spans_signed_total{mode="log"} 0',
        'kms_pii_fields_total{operation="encrypt"} 0',
        'kms_limited_total{limit="caller"} 0',
        'kms_limited_total{limit="tenant"} 0',
        'kms_limited_total{limit="failures"} 0',
        'circuit_breaker_state{name="local",scope="service"} 0',
        'circuit_breaker_state{scope="tenant"} 0',
        'kms_provider_keys{condition="answering",scope="service"} 1',
        'kms_provider_keys{condition="denied",scope="tenant"} 0',
        "kms_oldest_active_key_age_seconds 0",
        "kms_last_rotation_timestamp_seconds 0",
      ]) {
        expect(text).toContain(name);
      }
      expect(text).toContain('kms_errors_total{operation="SignSpan",code="INTERNAL"} 0');
      expect(text.replace(/(limit|scope)="tenant"|tenants?(?=['’]|"| )|kms_tenant_keys_info/g, "")).not.toMatch(
        /tenant|otel_scope|target_info|command/,
      );
    } finally {
      await fresh.stop();
    }
  });

  it("are of callers' keys: a Validate counts calls of the provider, and neither look-ups nor how long they take", async () => {
    const fresh = await startService();
    try {
      await postJson(`${fresh.url}/api/admin/kms/validate`, "");
      const validated = await metrics(fresh);
      expect(validated).not.toMatch(/kms_retrieve_\w+_seconds_count/);
      expect(validated).not.toMatch(/kms_cache_(hit|miss)_total\{.*\} [1-9]/);
      expect(validated).toMatch(/kms_provider_call_seconds_count\{operation="\w+",outcome="\w+"\} \d/);

      for (const _ of ["uncached", "cached"]) {
        await fresh.grpc.signSpan({ tenantId: "acme", span: plainSpan });
        await fresh.grpc.generateDataKey({ tenantId: "acme" });
      }
      const text = await metrics(fresh);
      expect(text).toMatch(/kms_retrieve_signing_key_seconds_count\{cached="true"\} 1/);
      expect(text).toMatch(/kms_retrieve_encryption_key_seconds_bucket\{cached="false",le="0.0005"\}/);
      expect(text).toMatch(/kms_retrieve_encryption_key_seconds_bucket\{cached="true",le="2.5"\} 1/);
      expect(text).toMatch(/kms_cache_hit_total\{key_type="data"\} 1/);
      expect(text).toMatch(/kms_provider_call_seconds_count\{operation="\w+",outcome="\w+"\} \d/);
    } finally {
      await fresh.stop();
    }
  });

  it("counts what was done", async () => {
    const own = await startService();
    try {
      await own.grpc.encryptPii({ tenantId: "secret-tenant", fields: [{ name: "n", value: Buffer.of(1) }] });
      await own.grpc.encryptPii({ tenantId: "secret-tenant", fields: [{ name: "n", value: Buffer.of(1) }] });
      await own.grpc.signSpan({ tenantId: "secret-tenant", span: plainSpan });
      await own.grpc.rotate({ tenantId: "secret-tenant", force: true });
      await own.grpc.encryptPii({ tenantId: "secret-tenant", fields: [] }).catch(() => {});
      const text = await metrics(own);
      expect(text).toContain('kms_pii_fields_total{operation="encrypt"} 2');
      expect(text).toContain('kms_spans_signed_total{mode="individual"} 1');
      expect(text).toContain("kms_rotation_success_total 2");
      expect(text).toContain('kms_errors_total{operation="EncryptPii",code="INVALID_ARGUMENT"} 1');
      expect(text).toMatch(
        /rpc_server_call_duration_seconds_count\{rpc_method="EncryptPii",rpc_response_status_code="OK"\} 2/,
      );
      expect(text).toMatch(/kms_cache_hit_total\{key_type="data"\} [1-9]/);
      expect(text).toMatch(/kms_rotation_duration_seconds_count 2/);
      expect(text).not.toContain("secret-tenant");
    } finally {
      await own.stop();
    }
  });
});

describe("other paths and methods", () => {
  it.each(["/q", "/q/health/started", "/api/admin/kms", "/api/admin/kms/destroy", "/api/kms/tenants/a/b/jwks.json"])(
    "%s is 404",
    async (path) => {
      const { status, body } = await getJson(kms.url + path);
      expect([status, body.code]).toEqual([404, "NOT_FOUND"]);
    },
  );

  it.each([
    ["GET", "/api/admin/kms/validate", "POST"],
    ["GET", "/api/admin/kms/rotate", "POST"],
    ["DELETE", "/api/admin/kms/status", "GET, HEAD"],
    ["POST", "/", "GET, HEAD"],
    ["POST", "/q/health", "GET, HEAD"],
    ["PUT", "/api/kms/tenants/a/jwks.json", "GET, HEAD"],
  ])("%s %s is 405, and says what is allowed", async (method, path, allow) => {
    const response = await fetch(kms.url + path, { method });
    expect([response.status, response.headers.get("allow")]).toEqual([405, allow]);
  });

  it.each(["//", "///q/health", "/%", "/api/admin/kms/status?tenant_id=%ff", "http://[", "*", "q/health", "//[::1/x"])(
    "the request target %s is refused, and the service goes on",
    async (path) => {
      const { status, body } = await requestWith({}, path);
      expect([400, 404]).toContain(status);
      expectNoStack(body);
      expect((await getJson(`${kms.url}/q/health`)).status).toBe(200);
    },
  );

  it.each(["127.999.999.999", "localhost:99999", "[::1]:70000"])(
    "the Host %s is refused at Connect, and the service goes on",
    async (host) => {
      const path = "/fluo.kms.v1.KmsService/Status";
      const headers = { host, "content-type": "application/json" };
      expect((await requestWith(headers, path, "POST", "{}")).status).toBe(400);
      expect((await getJson(`${kms.url}/q/health`)).status).toBe(200);
    },
  );
});

describe("a body that is refused half-read", () => {
  it.each(["/api/admin/kms/rotate", "/fluo.kms.v1.KmsService/EncryptPii"])(
    "at %s is answered, and the connection serves on",
    async (path) => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      const send = (body: Buffer) =>
        new Promise<number | undefined>((resolve, reject) => {
          const headers = { "content-type": "application/json", "transfer-encoding": "chunked" };
          const target = { host: "127.0.0.1", port: kms.httpPort, path, method: "POST", headers, agent };
          const request = httpRequest(target, (response) => {
            response.resume();
            response.on("end", () => resolve(response.statusCode));
          });
          request.on("error", reject);
          request.end(body);
        });
      for (let round = 0; round < 5; round += 1) {
        expect(await send(Buffer.alloc(6 * 1024 * 1024, " "))).toBe(429);
        expect(await send(Buffer.from("[]"))).toBe(400);
      }
      agent.destroy();
    },
  );
});

describe("a caller that leaves in the middle of its body", () => {
  const internal = async () =>
    [...(await metrics()).matchAll(/^kms_errors_total\{.*code="INTERNAL".*\} ([1-9].*)$/gm)].map(([line]) => line);

  it.each([
    ["/api/admin/kms/rotate", "content-length: 100"],
    ["/api/admin/kms/validate", "transfer-encoding: chunked"],
    ["/fluo.kms.v1.KmsService/EncryptPii", "content-length: 100"],
    ["/fluo.kms.v1.KmsService/EncryptPii", "transfer-encoding: chunked"],
  ])("of %s, by %s, is no bug of ours, and the service goes on", async (path, header) => {
    const socket = connect(kms.httpPort, "127.0.0.1");
    await once(socket, "connect");
    const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n${header}\r\n\r\n`;
    socket.write(`${head}${header.startsWith("transfer") ? "1\r\n{\r\n" : "{"}`);
    expect((await getJson(`${kms.url}/q/health`)).status).toBe(200);
    socket.resetAndDestroy();
    await once(socket, "close");
    for (let round = 0; round < 3; round += 1) expect((await getJson(`${kms.url}/q/health`)).status).toBe(200);
    expect(await internal()).toEqual([]);
  });

  it.each([
    "GET /q/health HTTP/1.0\r\n\r\n",
    "POST /fluo.kms.v1.KmsService/Status HTTP/1.0\r\ncontent-type: application/json\r\n\r\n",
    "CONNECT localhost:1 HTTP/1.1\r\nhost: localhost\r\n\r\n",
    "GET /q/health HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01 hello",
  ])("and one that sends %j, is answered or cut off, and the service goes on", async (bytes) => {
    const socket = connect(kms.httpPort, "127.0.0.1");
    socket.on("error", () => {});
    socket.end(bytes);
    socket.resume();
    await once(socket, "close");
    expect((await getJson(`${kms.url}/q/health`)).status).toBe(200);
    expect(await internal()).toEqual([]);
  });
});

describe("pages of other sites", () => {
  const rpc = "/fluo.kms.v1.KmsService/GenerateDataKey";
  const json = { "content-type": "application/json" };

  it.each([
    ["a cross-origin Origin", { origin: "https://evil.example" }],
    ["the Origin null", { origin: "null" }],
    ["another port of this machine as Origin", { origin: "http://127.0.0.1:1" }],
    ["a foreign Host", { host: "evil.example" }],
    ["a foreign Host that begins like a loopback name", { host: "localhost.evil.example" }],
    ["a Host in the form of an address elsewhere", { host: "10.0.0.1" }],
  ])("are refused by %s, at administration and at Connect", async (_what, headers) => {
    for (const [path, method] of [
      ["/api/admin/kms/rotate", "POST"],
      ["/api/admin/kms/status", "GET"],
      [rpc, "POST"],
    ] as const) {
      const answer = await requestWith(
        { ...json, ...headers },
        path,
        method,
        method === "POST" ? '{"tenantId":"evil"}' : "",
      );
      expect(answer.status).toBe(403);
      expectNoStack(answer.body);
    }
    expect((await kms.grpc.status({ tenantId: "evil" })).keys).toEqual([]);
  });

  it("are refused the pre-flight of a cross-origin request", async () => {
    const headers = { origin: "https://evil.example", "access-control-request-method": "POST" };
    const answer = await requestWith(headers, rpc, "OPTIONS");
    expect(answer.status).toBe(403);
  });

  it("the service's own are served", async () => {
    const own = { ...json, origin: kms.url };
    expect((await requestWith(own, rpc, "POST", '{"tenantId":"own"}')).status).toBe(200);
    const named = { ...json, host: `localhost:${kms.httpPort}`, origin: `http://localhost:${kms.httpPort}` };
    expect((await requestWith(named, "/api/admin/kms/status")).status).toBe(200);
  });
});
