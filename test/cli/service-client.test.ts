import { describe, expect, it } from "vitest";
import { answering, run } from "../support/cli-fixture.ts";

const validation = {
  provider: "local",
  overall: "PASS",
  tests: { generate_data_key: "PASS (2ms)", encrypt: "PASS (0.2ms)" },
  latency_ms: { generate_data_key: 2, cache_miss: 1.5, cache_hit: 0.01 },
  recommendations: ["The store is in memory."],
  key: {
    provider: "aws",
    key_id: "arn:1",
    region: "eu-west-1",
    state: "Enabled",
    rotation: "off",
    clock_skew_ms: -3000,
  },
  other_keys: [{ provider: "vault", key_id: "key", region: null, state: null, rotation: null, clock_skew_ms: null }],
  provider_calls: { decrypt: 7, encrypt: 2 },
};
const status = {
  provider: "local",
  status: "operational",
  latency_ms: 0.4,
  version: "0.1.0",
  uptime_seconds: 12,
  store: "memory",
  store_id: "75c0843209c88c5794b7ac8c1c7c186b",
  provider_keys: [
    {
      provider: "aws",
      key_id: "arn:1",
      region: "eu-west-1",
      condition: "answering",
      detail: "Enabled",
      since: "2026-01-01T00:00:00.000Z",
      latency_ms: 3,
    },
    {
      provider: "local",
      key_id: "local:2",
      region: null,
      condition: "denied",
      detail: "gone",
      since: "2026-01-02T00:00:00.000Z",
      latency_ms: 1,
    },
  ],
  cache: {
    data: { hits: 5, misses: 1, evictions: 0, size: 1, max_size: 1000, stale: 0 },
    signing: { hits: 2, misses: 1, evictions: 0, size: 1, max_size: 1000, stale: 1 },
  },
  cache_ttl_seconds: 3600,
  max_stale_seconds: 14_400,
  keys: { data: { ACTIVE: 1, RETIRED: 2 }, signing: {} },
  rotation: { enabled: true, max_age_days: 90, last: null, next: "2026-01-02T02:00:00.000Z", due: 0, failed: 0 },
  breakers: [{ name: "local", state: "closed" }],
  cost: { provider_calls: { decrypt: 3 }, provider_calls_per_day: 30 },
  memory: { implementation: "sodium", locked: true },
  notices: [],
};
const key = { tenant_id: "acme", purpose: "data", key_id: "ab".repeat(16), version: 2 };
const rotation = {
  rotated: [{ ...key, retired_key_id: "cd".repeat(16) }],
  skipped: [{ ...key, purpose: "signing", reason: "not due" }],
  failed: [] as unknown[],
  remaining: 0,
  dry_run: false,
};
const refusal = {
  code: "INVALID_ARGUMENT",
  message: "the request is malformed",
  fields: [{ field: "tenant_id", description: "must be a tenant" }],
};

describe("validate", () => {
  it("prints each test and passes", async () => {
    const { address, received } = await answering(200, validation);
    const { code, out } = await run(["validate", "--address", address, "--tenant", "acme"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^overall +PASS$/m);
    expect(out).toMatch(/^ +generate_data_key +PASS \(2ms\)$/m);
    expect(out).toMatch(/^ +cache_hit +0\.01 ms$/m);
    expect(out).toContain("The store is in memory.");
    expect(out).toMatch(/^key +arn:1, Enabled, in eu-west-1, rotation off, clock off by -3000 ms$/m);
    expect(out).toMatch(/^other key +key, state not known$/m);
    expect(out).toMatch(/^provider calls +7 decrypt, 2 encrypt$/m);
    expect(received).toEqual([{ method: "POST", url: "/api/admin/kms/validate", body: '{"tenant_id":"acme"}' }]);
  });

  it("fails when the service does", async () => {
    const { address } = await answering(200, {
      ...validation,
      overall: "FAIL",
      tests: { encrypt: "FAIL: no\u001b[2Jway" },
    });
    const { code, out } = await run(["validate", "--address", address]);
    expect(code).toBe(1);
    expect(out).toMatch(/^ +encrypt +FAIL: no\?\[2Jway$/m);
  });

  it("prints the service's JSON as it is", async () => {
    const { address } = await answering(200, '{"overall": "PASS",  "later": 1}\n');
    expect(await run(["--json", "validate", "--address", `${address}/`])).toEqual({
      code: 0,
      out: '{"overall": "PASS",  "later": 1}\n',
      err: "",
    });
  });
});

describe("status", () => {
  it("prints what is known, a line each", async () => {
    const { address, received } = await answering(200, status);
    const { code, out } = await run(["status", "--address", address, "--tenant", "a&b"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^status +operational$/m);
    expect(out).toMatch(/^store +memory 75c0843209c88c5794b7ac8c1c7c186b$/m);
    expect(out).toMatch(/^data keys +1 ACTIVE, 2 RETIRED$/m);
    expect(out).toMatch(/^data cache +1 of 1000, 5 hits, 1 misses, 0 evictions$/m);
    expect(out).toMatch(/^signing cache +.* 0 evictions, 1 served past their time$/m);
    expect(out).toMatch(/^provider key +arn:1, in eu-west-1, answering since 2026-01-01T00:00:00.000Z, Enabled$/m);
    expect(out).toMatch(/^other key +local:2, denied since 2026-01-02T00:00:00.000Z, gone$/m);
    expect(out).toMatch(/^cached for +3600 s, 14400 s more /m);
    expect(out).toMatch(/^rotation +on, after 90 days, last never, next 2026-01-02/m);
    expect(received).toEqual([{ method: "GET", url: "/api/admin/kms/status?tenant_id=a%26b", body: "" }]);
  });

  it("prints what calls cost, and would at another TTL", async () => {
    const projection = (ttl_seconds: number, calls_per_day: number) => ({
      ttl_seconds,
      calls_per_day,
      cost_per_month: 1.5,
      most_calls_per_day: 2 * calls_per_day,
      most_cost_per_month: 2,
    });
    const cost = {
      ...status.cost,
      charged_calls_per_day: 12_345,
      cost_per_month: 1.1111,
      provider_keys: 1,
      prices: { per_10000_calls: 0.03, per_key_month: 1, currency: "USD", charged: "all" },
      key_loads: { first: 1, refreshed: 2 },
      projections: [projection(1_800, 20_000), projection(3_600, 12_345)],
      example: { requests_per_second: 1_000, cache_hit_rate: 0.8, calls_per_day: 17_280_000, cost_per_month: 1_556.2 },
      uncertainty: "Up for a minute.",
    };
    const { address } = await answering(200, { ...status, cost });
    const { out } = await run(["status", "--address", address]);
    const lines = out.split("\n").map((line) => line.replace(/ {2,}/, ": "));
    expect(lines.slice(lines.indexOf("provider calls: 3 decrypt; 30 a day")).slice(0, 7)).toEqual([
      "provider calls: 3 decrypt; 30 a day",
      "keys loaded: 1 first, 2 refreshed",
      "cost: 1.11 USD a month: 12,345 calls a day at 0.03 per 10,000, 1 provider key at 1",
      "at TTL 1800 s: 20,000 calls a day, 1.50 USD a month; at most 40,000 calls a day, 2.00 USD a month",
      "at TTL 3600 s: 12,345 calls a day, 1.50 USD a month; at most 24,690 calls a day, 2.00 USD a month",
      "example: 17,280,000 calls a day, 1,556.20 USD a month: a cache that answers 80 % of 1,000 requests a second",
      "cost is rough: Up for a minute.",
    ]);
    const free = { ...cost, uncertainty: "", provider_keys: 2, prices: { ...cost.prices, charged: "cryptographic" } };
    const { address: other } = await answering(200, { ...status, cost: free });
    const { out: shown } = await run(["status", "--address", other]);
    expect(shown).toMatch(/^cost +.* 12,345 cryptographic calls a day at 0\.03 per 10,000, 2 provider keys at 1$/m);
    expect(shown).not.toMatch(/rough/);
  });

  it("prints the calls of an older service, which tells no cost", async () => {
    const { address } = await answering(200, status);
    const { out } = await run(["status", "--address", address]);
    expect(out).toMatch(/^provider calls +3 decrypt; 30 a day$/m);
    expect(out).not.toMatch(/cost|TTL/);
  });

  it.each([
    ["degraded", 0],
    ["down", 1],
    [undefined, 1],
  ])("exits for %s with %d", async (word, expected) => {
    const { address } = await answering(200, { ...status, status: word });
    expect((await run(["status", "--address", address])).code).toBe(expected);
  });
});

describe("rotate", () => {
  it("sends what was asked and prints what was done", async () => {
    const { address, received } = await answering(200, rotation);
    const asked = [
      "--tenant",
      "acme",
      "--purpose",
      "data",
      "--force",
      "--dry-run",
      "--limit",
      "5",
      "--request-id",
      "r1",
    ];
    const { code, out } = await run(["rotate", ...asked, "--address", address]);
    expect(code).toBe(0);
    expect(out).toMatch(/^rotated +acme +data +v2 +(ab){16} +replaces (cd){16}$/m);
    expect(out).toMatch(/^skipped +acme +signing .* not due$/m);
    expect(out).toContain("1 rotated, 1 skipped, 0 failed, 0 remaining");
    expect(JSON.parse(received[0]!.body)).toEqual({
      tenant_id: "acme",
      purpose: "data",
      force: true,
      dry_run: true,
      limit: 5,
      request_id: "r1",
    });
  });

  it("asks for all that are due by an empty request", async () => {
    const { address, received } = await answering(200, rotation);
    await run(["rotate", "--address", address]);
    expect(received).toEqual([{ method: "POST", url: "/api/admin/kms/rotate", body: "{}" }]);
  });

  it("fails when anything failed", async () => {
    const failed = [{ tenant_id: "acme", purpose: "data", code: 14, message: "provider unavailable" }];
    const { address } = await answering(200, { ...rotation, failed });
    const { code, out } = await run(["rotate", "--address", address]);
    expect(code).toBe(1);
    expect(out).toMatch(/^failed +acme +data +provider unavailable$/m);
  });
});

describe("a service that cannot be asked", () => {
  it("refuses with its code and fields", async () => {
    const { address } = await answering(400, refusal);
    const args = ["rotate", "--address", address];
    expect(await run(args)).toEqual({
      code: 1,
      out: "",
      err: "fluo-kms: INVALID_ARGUMENT: the request is malformed\nfluo-kms: tenant_id: must be a tenant\n",
    });
    const { code, out } = await run([...args, "--json"]);
    expect({ code, json: JSON.parse(out) }).toEqual({ code: 1, json: refusal });
  });

  it("is another program", async () => {
    const { address } = await answering(404, "<html>");
    const { code, err } = await run(["status", "--address", address]);
    expect(code).toBe(1);
    expect(err).toBe(
      `fluo-kms: ${address} answered HTTP 404 without JSON; is it the HTTP port of a fluo-kms service?\n`,
    );
  });

  it("does not run: one line says how to start it", async () => {
    const { address, close } = await answering(200, status);
    await close();
    const { code, out, err } = await run(["validate", "--address", address]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toBe(
      `fluo-kms: nothing listens at ${address}; start the service with "fluo-kms serve" or name another with --address\n`,
    );
    expect(JSON.parse((await run(["validate", "--json", "--address", address])).out)).toMatchObject({
      code: "UNAVAILABLE",
    });
  });
});
