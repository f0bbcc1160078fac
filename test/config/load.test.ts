import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { placesOfKeys } from "../../src/config/default-keys.ts";
import type { ConfigError } from "../../src/config/problem.ts";
import { settings } from "../../src/config/known-settings.ts";
import { loadConfig } from "../../src/config/load.ts";
import { directory, type Env, launchedWith, load, problemsOf, withTexts } from "../support/config-fixture.ts";
import { thrownBy } from "../support/matchers.ts";

describe("with the keys in memory, and no other setting", () => {
  it("is a development service on loopback that says what it is", () => {
    expect(load({ FLUO_KMS_STORE: "memory" })).toEqual({
      profile: "dev",
      host: "127.0.0.1",
      grpcPort: 9000,
      httpPort: 8080,
      provider: { name: "local" },
      otherProvider: undefined,
      tenantProviderKeys: { providerKeys: new Map(), tenants: new Map() },
      tenantKeyFiles: [],
      hasTenantProviderKeys: false,
      dataDirectory: undefined,
      store: { name: "memory" },
      heads: { file: undefined, required: false },
      backupIntervalMs: 0,
      plannedBackups: { cron: undefined, directory: undefined, keep: 48 },
      auth: "none",
      policyFile: undefined,
      open: ["health"],
      connectionMaxAgeMs: 3_600_000,
      connections: {
        max: 2_000,
        maxPerAddress: 0,
        firstCallMs: 30_000,
        idleMs: 900_000,
        resetsPerSecond: 200,
        headerWorkMs: 1_000,
        byAddress: true,
      },
      tlsTerminated: false,
      httpClientCertificates: true,
      allowedOrigins: [],
      proxies: {},
      issuer: "localhost",
      tls: undefined,
      threads: undefined,
      shutdownDelayMs: 0,
      shutdownGraceMs: 20_000,
      logLevel: "info",
      cache: { ttlMs: 3_600_000, maxEntries: 1000, maxStaleMs: 14_400_000, warm: [] },
      providerCheckMs: 30_000,
      cost: { per10000Calls: 0.03, perKeyMonth: 1, charged: "all", currency: "USD" },
      rotation: { enabled: true, checkCron: "0 0 2 * * ?", maxAgeDays: 90, maxPerSecond: 100, minAgeMs: 0 },
      limits: {
        callsPerSecond: 0,
        tenantCallsPerSecond: 0,
        failuresPerSecond: 0,
        newTenantsPerSecond: 0,
        checksEveryMs: 0,
      },
      telemetry: {
        otlp: {
          traces: false,
          metrics: false,
          protocol: "http/protobuf",
          metricIntervalMs: 60_000,
          metricTimeoutMs: 30_000,
        },
      },
      faults: [],
      warnings: [
        expect.stringMatching(/master key is in memory.*lost on restart/),
        expect.stringMatching(/^Authentication is none/),
      ],
    });
  });

  it("is frozen to the bottom", () => {
    const config = loadConfig({ env: {}, cwd: directory(), launch: launchedWith({}) });
    for (const part of [config, config.cache, config.telemetry.otlp, config.provider, config.warnings]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });
});

describe("what bounds callers", () => {
  const policy = { FLUO_KMS_AUTH: "policy", FLUO_KMS_POLICY_FILE: "policy.yaml" };
  const terminated = { ...policy, FLUO_KMS_TLS_TERMINATED: "true" };
  const calls = { FLUO_KMS_LIMIT_CALLER: "1", FLUO_KMS_LIMIT_TENANT: "2", FLUO_KMS_LIMIT_FAILURES: "3" };

  it.each<[what: string, env: Env, calls: number[], others: number[]]>([
    ["a policy: failures, new tenants and ages", policy, [0, 0, 10], [10, 10_000, 60_000]],
    ["a policy where all callers have a proxy's address: no failures", terminated, [0, 0, 0], [10, 10_000, 60_000]],
    ["a policy, and what is set", { ...terminated, ...calls }, [1, 2, 3], [10, 10_000, 60_000]],
    [
      "a policy that is set to nothing",
      { ...policy, FLUO_KMS_LIMIT_NEW_TENANTS: "0", KMS_ROTATION_MIN_AGE: "0s" },
      [0, 0, 10],
      [0, 10_000, 0],
    ],
    [
      "nothing where everybody is one caller, but a least age that is set",
      { ...calls, FLUO_KMS_LIMIT_NEW_TENANTS: "7", KMS_ROTATION_MIN_AGE: "5m" },
      [0, 0, 0],
      [0, 0, 300_000],
    ],
  ])("is %s", (_what, env, expectedCalls, expectedOthers) => {
    const { limits, rotation } = load(env);
    expect([limits.callsPerSecond, limits.tenantCallsPerSecond, limits.failuresPerSecond]).toEqual(expectedCalls);
    expect([limits.newTenantsPerSecond, limits.checksEveryMs, rotation.minAgeMs]).toEqual(expectedOthers);
  });
});

describe("problems", () => {
  it("are all reported at once, more than an answer's 16 too", async () => {
    const bad = Object.entries(settings).filter(
      ([name]) => !/key|cert|file|token|secret|role-id|socket|\.ca$/.test(name),
    );
    const env = Object.fromEntries(bad.map(([name]) => [name.replaceAll(/[.-]/g, "_").toUpperCase(), "~"]));
    const error = (await thrownBy(() => load(env))) as ConfigError;
    expect(error).toBeKmsError("INVALID_ARGUMENT");
    expect(error.problems.map(({ name }) => name.split(" ")[0]).sort()).toEqual(bad.map(([name]) => name).sort());
    expect(error.problems.length).toBeGreaterThan(16);
  });

  it("come from the file, the environment and combinations together, each with its origin", () => {
    const problems = problemsOf(() =>
      load({ KMS_CACHE_TTL: "60" }, "kms.rotation.max-age-days=0\nfluo.kms.hots=x\nfluo.kms.host=0.0.0.0\n"),
    );
    expect(problems).toMatch(/^kms\.cache\.ttl \(environment KMS_CACHE_TTL\): must be a duration from 1s to 7d/m);
    expect(problems).toMatch(/^kms\.rotation\.max-age-days \(.*application\.properties\): .* from 1 to 3650, not "0"/m);
    expect(problems).toMatch(/^fluo\.kms\.hots .*did you mean fluo\.kms\.host\?/m);
    expect(problems).toMatch(/^fluo\.kms\.host: 0\.0\.0\.0 is not a loopback address/m);
  });

  it("do not show values that may be secret", () => {
    const secret = "hunter2";
    const properties = `fluo.kms.pasword=${secret}\nfluo.kms.issuer=${secret} ${secret}\nfluo.kms.auth=${secret}\n`;
    const env = { FLUO_KMS_PROVIDER: secret, FLUO_KMS_HOST: `//${secret}` };
    expect(problemsOf(() => load(env, properties))).not.toContain(secret);
  });

  it.each([
    ["FLUO_KMS_PROVIDER", "awz", "aws"],
    ["FLUO_KMS_PROVIDER", "AWS", "aws"],
    ["FLUO_KMS_STORE", "postgre", "postgres"],
    ["FLUO_KMS_AUTH", "polcy", "policy"],
    ["FLUO_KMS_LOG_LEVEL", "wran", "warn"],
    ["FLUO_KMS_OPEN", "health,metric", "metrics"],
    ["KMS_ROTATION_ENABLED", "ture", "true"],
    ["FLUO_KMS_PROFILE", "PRD", "prod"],
  ])("repeat a wrong word beside the one that was meant: %s=%s", (variable, wrong, right) => {
    const [, shown, meant] =
      /: "(.*)" .*; did you mean (.*)\?$/.exec(problemsOf(() => load({ [variable]: wrong }))) ?? [];
    expect(wrong.endsWith(shown!) && meant).toBe(right);
  });

  it("are one line each, whatever a value holds", () => {
    expect(problemsOf(() => load({ FLUO_KMS_GRPC_PORT: "1\n2" })).split("\n")).toHaveLength(1);
  });
});

describe("refused", () => {
  const prod = { FLUO_KMS_PROFILE: "prod" };
  it.each<[string, Env, string]>([
    ["another address than loopback without authentication", { FLUO_KMS_HOST: "10.0.0.1" }, "fluo.kms.host"],
    ["a name that may be any address", { FLUO_KMS_HOST: "kms.example.com" }, "fluo.kms.host"],
    ["provider local in production", { ...prod, FLUO_KMS_ISSUER: "kms.example.com" }, "fluo.kms.provider"],
    ["the default issuer in production", prod, "fluo.kms.issuer"],
    ["localhost as issuer in production", { ...prod, FLUO_KMS_ISSUER: "localhost" }, "fluo.kms.issuer"],
    ["a price with a comma", { KMS_COST_PER_10000_CALLS: "0,03" }, "PER_10000_CALLS): must be a number"],
    ["a price below nothing", { KMS_COST_PER_KEY_MONTH: "-1" }, "PER_KEY_MONTH): must be a number"],
    ["a currency by its sign", { KMS_COST_CURRENCY: "$" }, "KMS_COST_CURRENCY): must be the three capitals"],
    [
      "a pace of nothing",
      { KMS_ROTATION_MAX_PER_SECOND: "0" },
      "MAX_PER_SECOND): must be a whole number from 1 to 10000",
    ],
    ["a misspelt production", { FLUO_KMS_PROFILE: "production" }, "fluo.kms.profile"],
    ["one port for both", { FLUO_KMS_GRPC_PORT: "8080" }, "fluo.kms.http.port"],
    ["a certificate without its key", { FLUO_KMS_TLS_CERTIFICATE: "cert.pem" }, "fluo.kms.tls.key"],
    ["a key without its certificate", { FLUO_KMS_TLS_KEY: "key.pem" }, "fluo.kms.tls.certificate"],
  ])("is %s", (_, env, name) => {
    expect(problemsOf(() => load(env))).toContain(name);
  });

  it("is TLS with files that cannot be read, or are not what they should be", () => {
    const cwd = directory({ "cert.pem": "not PEM", "key.pem": "not PEM" });
    const tls = (certificate: string) => ({ FLUO_KMS_TLS_CERTIFICATE: certificate, FLUO_KMS_TLS_KEY: "key.pem" });
    expect(problemsOf(() => loadConfig({ env: tls("none.pem"), cwd }))).toMatch(/none\.pem cannot be read \(ENOENT\)/);
    expect(problemsOf(() => loadConfig({ env: tls("cert.pem"), cwd }))).toMatch(/must be PEM/);
  });
});

describe("accepted", () => {
  it.each(["prd", "prod2", "pord"])("is profile %s, with a warning that it is not production", (profile) => {
    const warning = `fluo.kms.profile is ${profile}, and production is prod alone; did you mean prod?`;
    const { warnings, faults } = load({ FLUO_KMS_PROFILE: profile });
    expect([warnings, faults].map((all) => all.includes(warning))).toEqual([true, true]);
  });

  it.each(["dev", "demo", "test", "staging", "qa", "uat"])("is profile %s without one", (profile) => {
    expect(load({ FLUO_KMS_PROFILE: profile }).faults).toEqual([]);
  });

  it("are another provider's prices, in the environment or the file", () => {
    const file = "kms.cost.per-key-month=0.06\nkms.cost.currency=EUR\n";
    const inFile = { per10000Calls: 0.03, perKeyMonth: 0.06, charged: "all", currency: "EUR" };
    expect(load({}, file).cost).toEqual(inFile);
    const free = load({ KMS_COST_PER_10000_CALLS: "0", KMS_COST_PER_KEY_MONTH: "0" }, file).cost;
    expect(free).toEqual({ ...inFile, per10000Calls: 0, perKeyMonth: 0 });
  });

  it.each(["127.0.0.1", "127.1.2.3", "::1", "localhost"])("is %s without authentication", (host) => {
    expect(load({ FLUO_KMS_HOST: host }).host).toBe(host);
  });

  it("is port 0 for both", () => {
    expect(load({ FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" })).toMatchObject({ grpcPort: 0, httpPort: 0 });
  });

  it("is a pace of the schedule in whole keys", () => {
    expect(load({ KMS_ROTATION_MAX_PER_SECOND: "7" }).rotation.maxPerSecond).toBe(7);
  });

  it("is a key file, from where the service runs, and group rights for it, the store and every other key's", () => {
    const properties = [
      "fluo.kms.files.group-readable=true",
      "fluo.kms.local.master-key-file=own.key",
      "fluo.kms.other.provider=local",
      "fluo.kms.other.local.master-key-file=other.key",
      "fluo.kms.provider-keys.a.provider=local",
      "fluo.kms.provider-keys.a.local.master-key-file=a.key",
    ];
    const cwd = directory({ "application.properties": properties.join("\n") });
    const { store, provider, otherProvider, tenantProviderKeys } = loadConfig({ env: {}, cwd });
    expect(provider).toMatchObject({ name: "local", masterKeyFile: join(cwd, "own.key") });
    for (const each of [store, provider, otherProvider, tenantProviderKeys.providerKeys.get("a")]) {
      expect(each).toMatchObject({ groupReadable: true });
    }
  });

  it("is a setting of a provider that is not chosen: with a warning where it is in the file", () => {
    const file = "aws.kms.region=eu-central-1\nfluo.kms.other.vault.addr=http://a\n";
    const { warnings } = load({ VAULT_TOKEN: "s.1" }, file);
    expect(warnings).toContain("aws.kms.region has no effect with provider local.");
    expect(warnings).toContain("fluo.kms.other.vault.addr has no effect with provider local.");
    expect(warnings.join()).not.toContain("vault.token");
  });
});

it("has an example with every name, which changes nothing as it is", () => {
  const example = readFileSync(join(import.meta.dirname, "..", "..", "application.properties.example"), "utf8");
  const cwd = directory();
  const withFile = (text: string) => {
    writeFileSync(join(cwd, "application.properties"), text);
    return withTexts(loadConfig({ env: {}, cwd, launch: launchedWith({}) }));
  };
  expect(withFile(example)).toEqual(withFile(""));
  const uncommented = example.match(/^#[a-z0-9.-]+=.*$/gm)!.map((line) => line.slice(1));
  const defaults = Object.entries(settings).map(
    ([name, setting]) => `${name}=${"standard" in setting ? setting.standard : ""}`,
  );
  expect(uncommented.sort()).toEqual(defaults.sort());
  // Those that say where keys are change that.
  const others = uncommented.filter((line) => !placesOfKeys.some((name) => line.startsWith(`${name}=`)));
  const { warnings, faults: _, ...config } = withFile(others.join("\n"));
  const { warnings: expected, faults: none, ...standard } = withFile("");
  expect(none).toEqual([]);
  expect(config).toEqual(standard);
  expect(warnings.filter((warning) => !/ has no effect with (store sqlite|provider local)\.$/.test(warning))).toEqual(
    expected,
  );
});

it("takes a cron expression as it is printed with its comment, from the file and from the environment", () => {
  const printed = "0 0 2 * * ?  # Daily at 2 AM";
  for (const config of [load({}, `kms.rotation.check-cron=${printed}\n`), load({ KMS_ROTATION_CHECK_CRON: printed })]) {
    expect(config.rotation.checkCron).toBe("0 0 2 * * ?");
  }
  expect(problemsOf(() => load({ KMS_ROTATION_CHECK_CRON: "0 2 * * *  # Daily at 2 AM" }))).toContain("not of 5");
});
