import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { directory, load, problemsOf } from "../support/config-fixture.ts";

describe("the file", () => {
  it("is application.properties where the service runs, if there is one", () => {
    expect(load({}, "fluo.kms.grpc.port = 9001  \n! a comment\nother.program=x\n").grpcPort).toBe(9001);
    expect(load({}).grpcPort).toBe(9000);
  });

  it("is another one by name, and then must be there", () => {
    const cwd = directory({ "my.properties": "kms.cache.max-entries=7", "application.properties": "kms.cache.ttl=no" });
    expect(loadConfig({ env: {}, file: "my.properties", cwd }).cache.maxEntries).toBe(7);
    expect(problemsOf(() => loadConfig({ env: {}, file: "mine.properties", cwd }))).toMatch(
      /mine\.properties: cannot be read \(ENOENT\)/,
    );
  });

  it("must be UTF-8", () => {
    const cwd = directory({ "application.properties": Uint8Array.of(0x61, 0xff) });
    expect(problemsOf(() => loadConfig({ env: {}, cwd }))).toMatch(/is not UTF-8/);
  });

  it.each([
    ["kms.cache.tll=1m", "did you mean kms.cache.ttl?"],
    ["kms.rotation.max-age-day=1", "did you mean kms.rotation.max-age-days?"],
    ["aws.kms.regoin=x", "did you mean aws.kms.region?"],
    ["%prod.fluo.kms.gprc.port=1", "did you mean fluo.kms.grpc.port?"],
    ["vault.address=x", "did you mean vault.addr?"],
    ["gcp.kms.kye=x", "did you mean gcp.kms.key?"],
    ["azure.key-vault.kay=x", "did you mean azure.key-vault.key?"],
    ["fluo.kms.something.else.entirely=x", "application.properties.example lists every name"],
    ["%prod.fluo.kms.profile=dev", "cannot depend on a profile"],
    [`kms.cache.ttl=$${"{TTL:60m}"}`, "is not expanded"],
  ])("refuses %s: %s", (line, hint) => {
    expect(problemsOf(() => load({}, line))).toContain(hint);
  });

  it("gives a setting once: of a second one the warning has the lines, and the last counts", () => {
    const lines = [
      ...["kms.cache.ttl=1m", "# kms.cache.ttl=9m", "other=1", "%dev.kms.cache.max-entries=5", "kms.cache.ttl = 2\\"],
      "m",
      ...["%prod.kms.cache.ttl=4m", "other=2", "%dev.kms.cache.max-entries=6", "kms.cache.ttl:3m"],
    ];
    for (const end of ["\n", "\r\n"]) {
      const { warnings, cache } = load({}, lines.join(end));
      expect(cache).toMatchObject({ ttlMs: 180_000, maxEntries: 6 });
      expect(warnings.filter((warning) => warning.includes(" stands in lines "))).toEqual([
        expect.stringMatching(
          /^kms\.cache\.ttl \(.*application\.properties\) stands in lines 1, 5 and 10; the last one counts\.$/,
        ),
        expect.stringMatching(/^%dev\.kms\.cache\.max-entries \(.*\) stands in lines 4 and 9; the last one counts\.$/),
      ]);
    }
    expect(problemsOf(() => load({}, "kms.cache.ttl=1m\nkms.cache.ttl=no\n"))).toContain("stands in lines 1 and 2");
  });

  it("may hold what is not ours, even near it", () => {
    expect(problemsOf(() => load({}, "aws.region=x\nkmsx=1\nquarkus.http.port=1\n__proto__=1\n"))).toBe("");
  });
});

describe("profiles", () => {
  const file = "kms.cache.max-entries=1\n%test.kms.cache.max-entries=2\n%prod.kms.cache.max-entries=none\n";

  it("count before plain names, and only their own", () => {
    expect(load({}, file).cache.maxEntries).toBe(1);
    expect(load({ FLUO_KMS_PROFILE: "test" }, file).cache.maxEntries).toBe(2);
  });

  it("are chosen in the file too, and by the environment first", () => {
    expect(load({}, `${file}fluo.kms.profile=test`)).toMatchObject({ profile: "test", cache: { maxEntries: 2 } });
    expect(load({ FLUO_KMS_PROFILE: "dev" }, `${file}fluo.kms.profile=test`).profile).toBe("dev");
  });
});

describe("the environment", () => {
  it("wins over the file and its profiles", () => {
    const file = "fluo.kms.http.port=1\n%dev.fluo.kms.http.port=2\n";
    expect(load({ FLUO_KMS_HTTP_PORT: "3" }, file).httpPort).toBe(3);
  });

  it("ignores the ports that Kubernetes sets for services", () => {
    const env = { FLUO_KMS_GRPC_PORT: "tcp://10.0.0.1:9000", FLUO_KMS_HTTP_PORT: "tcp://10.0.0.2:80" };
    expect(load(env, "fluo.kms.grpc.port=9009")).toMatchObject({ grpcPort: 9009, httpPort: 8080 });
    expect(problemsOf(() => load({}, "fluo.kms.grpc.port=tcp://10.0.0.1:9000"))).toContain("fluo.kms.grpc.port");
  });

  it("takes an empty variable for none, so that the file counts, and an empty property for the default", () => {
    expect(load({ FLUO_KMS_HTTP_PORT: " " }, "fluo.kms.http.port=1").httpPort).toBe(1);
    expect(load({}, "fluo.kms.http.port=").httpPort).toBe(8080);
  });

  it("never shows a key that was pasted where its path is due", () => {
    const pem = "-----BEGIN PRIVATE KEY-----MC4CAQAwBQYDK2VwBCIEIPASTED-----END PRIVATE KEY-----";
    const problems = problemsOf(() => load({ FLUO_KMS_TLS_KEY: pem, FLUO_KMS_TLS_CERTIFICATE: "cert.pem" }));
    expect(problems).toContain("must be the path of a file, not its content");
    expect(problems).not.toContain("PASTED");
  });
});

describe("OpenTelemetry's variables", () => {
  const otlp = (env: Record<string, string>) => load(env).telemetry.otlp;

  it("turn on what has an endpoint, unless they turn everything off", () => {
    const on = (env: Record<string, string>) => [otlp(env).traces, otlp(env).metrics];
    expect(on({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel:4318" })).toEqual([true, true]);
    expect(on({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "http://otel" })).toEqual([true, false]);
    expect(on({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "http://otel" })).toEqual([false, true]);
    expect(on({ OTEL_EXPORTER_OTLP_ENDPOINT: "" })).toEqual([false, false]);
    expect(on({ OTEL_EXPORTER_OTLP_ENDPOINT: "http://otel", OTEL_SDK_DISABLED: "TRUE" })).toEqual([false, false]);
  });

  it("choose the metrics' protocol, of which an unknown one is warned", () => {
    expect(otlp({ OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }).protocol).toBe("grpc");
    const both = { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc", OTEL_EXPORTER_OTLP_METRICS_PROTOCOL: "http/json" };
    expect(otlp(both).protocol).toBe("http/json");
    const unknown = load({ OTEL_EXPORTER_OTLP_PROTOCOL: "carrier/pigeon" });
    expect(unknown.telemetry.otlp.protocol).toBe("http/protobuf");
    expect(unknown.warnings.at(-1)).toMatch(/^OTEL_EXPORTER_OTLP_PROTOCOL is not one of/);
  });

  it("say how often metrics are exported; a timeout is not longer, and a bad number is warned of", () => {
    const interval = { OTEL_METRIC_EXPORT_INTERVAL: " 5000 " };
    expect(otlp(interval)).toMatchObject({ metricIntervalMs: 5000, metricTimeoutMs: 5000 });
    expect(otlp({ ...interval, OTEL_METRIC_EXPORT_TIMEOUT: "100" })).toMatchObject({ metricTimeoutMs: 100 });
    for (const bad of ["0", "-1", "1m", "1.5", "1e3"]) {
      const { telemetry, warnings } = load({ OTEL_METRIC_EXPORT_INTERVAL: bad });
      expect(telemetry.otlp).toMatchObject({ metricIntervalMs: 60_000, metricTimeoutMs: 30_000 });
      expect(warnings.at(-1)).toMatch(/^OTEL_METRIC_EXPORT_INTERVAL is not a number of milliseconds/);
    }
  });
});
