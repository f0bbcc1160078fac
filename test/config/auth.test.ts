/** The settings of who may call: how each is read, and what is refused of them together. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { environmentName } from "../../src/config/sources.ts";
import { openPaths, origins } from "../../src/config/value.ts";
import { directory, type Env, load, problemsOf } from "../support/config-fixture.ts";
import { newAuthority } from "../support/pki.ts";

const policy = { FLUO_KMS_AUTH: "policy", FLUO_KMS_POLICY_FILE: "policy.yaml" };
const production = {
  FLUO_KMS_PROFILE: "prod",
  FLUO_KMS_ISSUER: "kms.example.com",
  FLUO_KMS_PROVIDER: "aws",
  AWS_KMS_MASTER_KEY_ID: "alias/fluo-kms",
};
const terminated = { FLUO_KMS_TLS_TERMINATED: "true" };
const elsewhere = { FLUO_KMS_HOST: "10.0.0.1" };

describe("settings of who may call", () => {
  it("are read from the file, whose paths begin where the service runs", () => {
    const cwd = directory({
      "application.properties": [
        "fluo.kms.auth=policy",
        "fluo.kms.policy.file=conf/policy.yaml",
        "fluo.kms.open=health, metrics",
        "fluo.kms.tls.terminated=true",
        "fluo.kms.http.client-certificates=false",
        "fluo.kms.http.allowed-origins=https://app.example.org, https://other.example.org:8443",
      ].join("\n"),
    });
    expect(loadConfig({ env: {}, cwd })).toMatchObject({
      auth: "policy",
      policyFile: join(cwd, "conf", "policy.yaml"),
      open: ["health", "metrics"],
      tlsTerminated: true,
      httpClientCertificates: false,
      allowedOrigins: ["https://app.example.org", "https://other.example.org:8443"],
    });
  });

  it.each<[string, string, string]>([
    ["fluo.kms.auth", "oidc", "is not a known word; available: none, policy"],
    ["fluo.kms.policy.file", "version: 1\nrules: []", "must be the path of a file"],
    ["fluo.kms.tls.terminated", "yes", "is not a known word; available: true, false"],
    ["fluo.kms.http.client-certificates", "off", "is not a known word; available: true, false"],
    [
      "fluo.kms.open",
      "health,metric",
      '"metric" is not a known word; available: health, metrics, public-keys, reflection; did you mean metrics?',
    ],
    [
      "fluo.kms.http.allowed-origins",
      "http://app.example.org",
      "must be a list of origins such as https://app.example.org",
    ],
  ])("refuse %s=%j", (name, value, problem) => {
    expect(problemsOf(() => load({ [environmentName(name)]: value }))).toContain(
      `${name} (environment ${environmentName(name)}): ${problem}`,
    );
  });
});

describe("what is open", () => {
  it.each([
    ["none", []],
    ["health", ["health"]],
    ["health,metrics , public-keys,reflection", ["health", "metrics", "public-keys", "reflection"]],
  ])("is read from %j", (text, paths) => expect(openPaths(text)).toEqual(paths));

  it.each(["", "health,", "none,health", "health none", "Health", "all", "*"])("is not %j", (text) => {
    expect(() => openPaths(text)).toThrow("available: health, metrics, public-keys, reflection");
  });
});

describe("an origin", () => {
  it.each(["https://app.example.org", "https://app.example.org:8443", "https://localhost:3000", "https://[::1]:8443"])(
    "is %s",
    (text) => expect(origins(text)).toEqual([text]),
  );

  const suffixes = ["/", "/path", ":443", "?x", ",", ";https://b.example.org"];
  it.each([
    ...suffixes.map((suffix) => `https://app.example.org${suffix}`),
    "http://app.example.org",
    "app.example.org",
    "https://APP.example.org",
    "https://user@app.example.org",
    "https://",
    "null",
    "*",
    "",
  ])("is not %j", (text) => {
    expect(() => origins(text)).toThrow("must be a list of origins such as https://app.example.org, in lower case");
  });
});

describe("refused together", () => {
  const noTls = "fluo.kms.tls.certificate: is missing, and ";
  it.each<[string, Env, string]>([
    ["none elsewhere", elsewhere, "fluo.kms.host: 10.0.0.1 is not a loopback address, and with fluo.kms.auth=none"],
    ["none elsewhere, behind a proxy", { ...elsewhere, ...terminated }, "fluo.kms.host: 10.0.0.1 is not"],
    [
      "none in production",
      production,
      "fluo.kms.auth: none lets everybody on this machine use every key; in profile prod set policy",
    ],
    [
      "a policy without its file",
      { FLUO_KMS_AUTH: "policy" },
      "fluo.kms.policy.file: is missing, and fluo.kms.auth is policy",
    ],
    [
      "a file without a policy",
      { FLUO_KMS_POLICY_FILE: "p" },
      "fluo.kms.policy.file: is set, and fluo.kms.auth is none",
    ],
    ["a policy without TLS elsewhere", { ...policy, ...elsewhere }, `${noTls}10.0.0.1 is not`],
    ["that in production", { ...production, ...policy, FLUO_KMS_HOST: "0.0.0.0" }, `${noTls}0.0.0.0 is not`],
  ])("is %s", (_, env, problem) => {
    expect(problemsOf(() => load(env))).toContain(problem);
  });

  it("is TLS of the service's own and of a proxy", () => {
    const { chain, key } = newAuthority().issue({ dns: ["localhost"], extendedKeyUsage: ["serverAuth"] });
    const cwd = directory({ "cert.pem": chain, "key.pem": key });
    const tls = { FLUO_KMS_TLS_CERTIFICATE: "cert.pem", FLUO_KMS_TLS_KEY: "key.pem" };
    expect(problemsOf(() => loadConfig({ env: { ...policy, ...elsewhere, ...tls, ...terminated }, cwd }))).toBe(
      "fluo.kms.tls.terminated: is true, and fluo.kms.tls.certificate is set; one of the two speaks TLS",
    );
    expect(problemsOf(() => loadConfig({ env: { ...policy, ...elsewhere, ...tls }, cwd }))).toBe("");
  });

  it("are all told at once", () => {
    const problems = problemsOf(() => load({ ...production, ...elsewhere, FLUO_KMS_POLICY_FILE: "policy.yaml" }));
    expect(problems.split("\n").map((line) => line.split(": ")[0])).toEqual([
      ...["fluo.kms.host", "fluo.kms.auth", "fluo.kms.policy.file"],
    ]);
  });
});

describe("accepted together", () => {
  it.each<[string, Env]>([
    ["a policy on loopback, without TLS", policy],
    ["a policy on loopback in production", { ...production, ...policy }],
    ["a policy behind a proxy in the same pod", { ...policy, ...elsewhere, ...terminated }],
    ["the same in production", { ...production, ...policy, ...elsewhere, ...terminated }],
  ])("is %s", (_, env) => {
    expect(load(env)).toMatchObject({ auth: "policy" });
  });

  it("is a proxy, with a warning that says what it means, and that counts as a fault", () => {
    const { warnings, faults } = load({ ...policy, ...terminated });
    const warning =
      "fluo.kms.tls.terminated is true: whoever reaches the service past its proxy reads tokens and keys.";
    expect(warnings).toContain(warning);
    expect(faults).toContain(warning);
    expect(load(policy).warnings).not.toContain(warning);
  });

  it("is a policy, which takes the warning of none away", () => {
    expect(load({}).warnings.join()).toMatch(/Authentication is none/);
    expect(load(policy).warnings.join()).not.toMatch(/Authentication/);
  });
});
