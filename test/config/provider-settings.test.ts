/** The settings of AWS KMS, of Azure, Google Cloud KMS and Vault, and those of a second provider key. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { directory, type Env, load, problemsOf } from "../support/config-fixture.ts";

const production = {
  FLUO_KMS_PROFILE: "prod",
  FLUO_KMS_ISSUER: "kms.example.com",
  FLUO_KMS_AUTH: "policy",
  FLUO_KMS_POLICY_FILE: "policy.yaml",
};
const aws = { FLUO_KMS_PROVIDER: "aws", AWS_KMS_MASTER_KEY_ID: "alias/fluo-kms" };
const azure = { FLUO_KMS_PROVIDER: "azure", AZURE_KEY_VAULT_KEY: "https://fluo.vault.azure.net/keys/fluo-kms" };
const gcpKey = "projects/audit-1/locations/europe-west1/keyRings/kms/cryptoKeys/fluo";
const gcp = { FLUO_KMS_PROVIDER: "gcp", GCP_KMS_KEY: gcpKey };
const vault = { FLUO_KMS_PROVIDER: "vault", VAULT_ADDR: "https://vault.example.com:8200", VAULT_TRANSIT_KEY: "fluo" };

describe("provider aws", () => {
  it("has a key, and leaves the rest to the SDK", () => {
    const { provider, store } = load(aws);
    const place = { region: undefined, masterKeyId: "alias/fluo-kms", endpoint: undefined };
    expect(provider).toEqual({ name: "aws", places: [place], profile: undefined });
    expect(store.name).toBe("sqlite");
  });

  it("has the quickstart's names, and replicas in order", () => {
    const properties = [
      "fluo.kms.provider=aws",
      "aws.kms.master-key-id=arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
      "aws.kms.region=us-east-1",
      "aws.kms.endpoint=https://vpce-1.kms.us-east-1.vpce.amazonaws.com/",
      "aws.kms.failover=us-west-2=mrk-1234abcd12ab34cd56ef1234567890ab, eu-west-1=alias/fluo@https://localhost:4566",
      "aws.kms.profile=audit",
    ];
    const { provider, warnings } = load(production, properties.join("\n"));
    expect(provider).toEqual({
      name: "aws",
      places: [
        {
          region: "us-east-1",
          masterKeyId: "arn:aws:kms:us-east-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
          endpoint: "https://vpce-1.kms.us-east-1.vpce.amazonaws.com",
        },
        { region: "us-west-2", masterKeyId: "mrk-1234abcd12ab34cd56ef1234567890ab", endpoint: undefined },
        { region: "eu-west-1", masterKeyId: "alias/fluo", endpoint: "https://localhost:4566" },
      ],
      profile: "audit",
    });
    expect(warnings).toEqual([]);
  });

  it("says that an endpoint in the SDK's own variables has no effect", () => {
    const variables = { AWS_ENDPOINT_URL: "http://kms.example.com", AWS_ENDPOINT_URL_KMS: "http://kms.example.com" };
    expect(load({ ...aws, ...variables }).warnings).toEqual(
      expect.arrayContaining([
        "AWS_ENDPOINT_URL has no effect: set aws.kms.endpoint.",
        "AWS_ENDPOINT_URL_KMS has no effect: set aws.kms.endpoint.",
      ]),
    );
    expect(load({ ...vault, ...variables, VAULT_TOKEN: "t" }).warnings.join()).not.toContain("AWS_ENDPOINT_URL");
  });

  it.each<[string, Env, string]>([
    ["no key", { FLUO_KMS_PROVIDER: "aws" }, "aws.kms.master-key-id: is missing"],
    ["a key that cannot be one", { ...aws, AWS_KMS_MASTER_KEY_ID: "my key" }, "aws.kms.master-key-id"],
    ["a region that cannot be one", { ...aws, AWS_KMS_REGION: "Frankfurt" }, "aws.kms.region"],
    ["an endpoint with a password", { ...aws, AWS_KMS_ENDPOINT: "https://a:hunter2@b" }, "aws.kms.endpoint"],
    ["an endpoint with a path", { ...aws, AWS_KMS_ENDPOINT: "https://a/b" }, "aws.kms.endpoint"],
    ["a replica without a region", { ...aws, AWS_KMS_FAILOVER: "mrk-1" }, "aws.kms.failover"],
    ["a replica without a key", { ...aws, AWS_KMS_FAILOVER: "us-west-2=" }, "aws.kms.failover"],
    ["an empty replica", { ...aws, AWS_KMS_FAILOVER: "us-west-2=mrk-1," }, "aws.kms.failover"],
  ])("is refused with %s", (_what, env, problem) => {
    const problems = problemsOf(() => load(env));
    expect(problems).toContain(problem);
    expect(problems).not.toContain("hunter2");
  });
});

describe("provider gcp", () => {
  const settings = { name: "gcp", key: gcpKey, endpoint: undefined, credentialsFile: undefined };

  it("has a key, and leaves the credentials to Google's own rules", () => {
    const { provider, store } = load(gcp);
    expect(provider).toEqual(settings);
    expect(store.name).toBe("sqlite");
  });

  it("has an endpoint and a file of credentials", () => {
    const cwd = directory();
    const env = { ...gcp, GCP_KMS_ENDPOINT: "https://kms.p.googleapis.com/", GCP_KMS_CREDENTIALS_FILE: "gcp.json" };
    const endpoint = "https://kms.p.googleapis.com";
    expect(loadConfig({ env, cwd }).provider).toEqual({
      ...settings,
      endpoint,
      credentialsFile: join(cwd, "gcp.json"),
    });
  });

  it("takes a project by its number, and one of a domain", () => {
    for (const project of ["123456789012", "example.com:audit-1"]) {
      const GCP_KMS_KEY = gcpKey.replace("audit-1", project);
      expect(load({ ...gcp, GCP_KMS_KEY }).provider).toMatchObject({ key: GCP_KMS_KEY });
    }
  });

  it.each<[string, Env, string]>([
    ["no key", { FLUO_KMS_PROVIDER: "gcp" }, "gcp.kms.key: is missing; set it to the key's resource name"],
    ["a name alone", { ...gcp, GCP_KMS_KEY: "fluo" }, "must be a key's resource name"],
    ["a path that climbs", { ...gcp, GCP_KMS_KEY: gcpKey.replace("kms", "..") }, "must be a key's resource name"],
    ["a version", { ...gcp, GCP_KMS_KEY: `${gcpKey}/cryptoKeyVersions/3` }, "must name the key without a version"],
    ["an endpoint with a path", { ...gcp, GCP_KMS_ENDPOINT: "https://a/v1" }, "gcp.kms.endpoint"],
    ["a key where its file is due", { ...gcp, GCP_KMS_CREDENTIALS_FILE: "-----BEGIN hunter2" }, "not its content"],
  ])("is refused with %s", (_what, env, problem) => {
    const problems = problemsOf(() => load(env));
    expect(problems).toContain(problem);
    expect(problems).not.toContain("hunter2");
  });
});

it.each<[string, Env, string]>([
  ["in the environment", { ...gcp, GCP_KMS_KEY: "fluo" }, ""],
  ["in the file", { FLUO_KMS_PROVIDER: "gcp" }, "gcp.kms.key=fluo"],
  ["for a profile", { ...production, FLUO_KMS_PROVIDER: "gcp" }, "%prod.gcp.kms.key=fluo"],
  ["that may be one of two", { ...vault, FLUO_KMS_PROVIDER: "vault" }, `vault.token-file=\${TOKEN_FILE}`],
])("a setting that is wrong is not said to be missing too: %s", (_where, env, properties) => {
  expect(problemsOf(() => load(env, properties))).not.toContain("is missing");
});

describe("provider azure", () => {
  const settings = {
    name: "azure",
    key: "https://fluo.vault.azure.net/keys/fluo-kms",
    caFile: undefined,
    instanceDiscovery: true,
    verifyChallengeResource: true,
  };

  it("has a key, and leaves credentials and authority to the SDK's own variables", () => {
    const sdk = {
      AZURE_TENANT_ID: "t",
      AZURE_CLIENT_ID: "c",
      AZURE_CLIENT_SECRET: "hunter2",
      AZURE_AUTHORITY_HOST: "h",
    };
    const config = load({ ...production, ...azure, ...sdk });
    expect(config.provider).toEqual(settings);
    expect(config.store.name).toBe("sqlite");
    expect(config.storeKeyPin).toBeUndefined();
    expect(JSON.stringify(config)).not.toContain("hunter2");
    expect(config.warnings).toEqual([]);
  });

  it("has a key of Managed HSM, in any case, an authority file, and switches for clouds and networks of one's own", () => {
    const properties = [
      "fluo.kms.provider=azure",
      "azure.key-vault.key=https://Fluo.managedhsm.azure.net/keys/KMS/",
      "azure.cacert=ca.pem",
      "azure.instance-discovery=false",
      "azure.verify-challenge-resource=FALSE",
    ];
    const { provider, warnings } = load({}, properties.join("\n"));
    expect(provider).toEqual({
      name: "azure",
      key: "https://fluo.managedhsm.azure.net/keys/kms",
      caFile: expect.stringMatching(/^\/.*ca\.pem$/),
      instanceDiscovery: false,
      verifyChallengeResource: false,
    });
    expect(warnings).toContain(
      "azure.verify-challenge-resource is false: whoever speaks TLS in the name of fluo.managedhsm.azure.net is given a token.",
    );
  });

  it.each<[string, Env, string]>([
    ["no key", { FLUO_KMS_PROVIDER: "azure" }, "azure.key-vault.key: is missing"],
    [
      "a version",
      { ...azure, AZURE_KEY_VAULT_KEY: `${settings.key}/${"0".repeat(32)}` },
      "names a version of the key; leave it out",
    ],
    [
      "plain http",
      { ...azure, AZURE_KEY_VAULT_KEY: "http://fluo.vault.azure.net/keys/kms" },
      "must be the identifier of a key",
    ],
    [
      "a secret's identifier",
      { ...azure, AZURE_KEY_VAULT_KEY: "https://fluo.vault.azure.net/secrets/kms" },
      "azure.key-vault.key",
    ],
    ["a name alone", { ...azure, AZURE_KEY_VAULT_KEY: "fluo-kms" }, "azure.key-vault.key"],
    ["a password", { ...azure, AZURE_KEY_VAULT_KEY: "https://a:hunter2@b/keys/kms" }, "azure.key-vault.key"],
    ["a query", { ...azure, AZURE_KEY_VAULT_KEY: `${settings.key}?x=1` }, "azure.key-vault.key"],
    [
      "a fingerprint in capitals",
      { ...azure, AZURE_STORE_KEY_FINGERPRINT: "A".repeat(64) },
      "azure.store-key-fingerprint",
    ],
    [
      "a fingerprint that is cut",
      { ...azure, AZURE_STORE_KEY_FINGERPRINT: "a".repeat(63) },
      "azure.store-key-fingerprint",
    ],
    ["neither true nor false", { ...azure, AZURE_INSTANCE_DISCOVERY: "no" }, "azure.instance-discovery"],
  ])("is refused with %s", (_what, env, problem) => {
    const problems = problemsOf(() => load(env));
    expect(problems).toContain(problem);
    expect(problems).not.toContain("hunter2");
  });
});

describe("the store key's fingerprint", () => {
  const pin = "0123456789abcdef".repeat(4);

  it("counts under any provider, and under either of two, and is never idle", () => {
    const other = { FLUO_KMS_OTHER_PROVIDER: "azure", FLUO_KMS_OTHER_AZURE_KEY_VAULT_KEY: azure.AZURE_KEY_VAULT_KEY };
    for (const env of [azure, aws, { ...aws, ...other }]) {
      const { storeKeyPin, warnings } = load(env, `azure.store-key-fingerprint=${pin}`);
      expect(storeKeyPin).toBe(pin);
      expect(warnings.join()).not.toContain("has no effect");
    }
    expect(load({ ...aws, ...other }, `fluo.kms.other.azure.store-key-fingerprint=${pin}`).storeKeyPin).toBe(pin);
    expect(load(aws, `azure.cacert=ca.pem`).warnings.join()).toContain("azure.cacert has no effect with provider aws");
  });

  it("is one: another for the second provider key is refused", () => {
    const env = { ...azure, AZURE_STORE_KEY_FINGERPRINT: pin };
    const same = { ...env, FLUO_KMS_OTHER_AZURE_STORE_KEY_FINGERPRINT: pin };
    expect(load(same).storeKeyPin).toBe(pin);
    const two = { ...env, FLUO_KMS_OTHER_AZURE_STORE_KEY_FINGERPRINT: pin.replaceAll("0", "1") };
    expect(problemsOf(() => load(two))).toContain("fluo.kms.other.azure.store-key-fingerprint: is another than");
  });
});

describe("provider vault", () => {
  const settings = {
    name: "vault",
    addr: "https://vault.example.com:8200",
    namespace: undefined,
    caFile: undefined,
    mount: "transit",
    key: "fluo",
  };

  it("logs in with a token, by the names of Vault's own tools", () => {
    const cwd = directory();
    const env = { ...vault, VAULT_TOKEN: "s.hunter2", VAULT_NAMESPACE: "teams/audit/", VAULT_CACERT: "ca.pem" };
    expect(loadConfig({ env, cwd }).provider).toEqual({
      ...settings,
      namespace: "teams/audit",
      caFile: join(cwd, "ca.pem"),
      login: { method: "token", token: "s.hunter2", tokenFile: undefined },
    });
  });

  it("logs in as an AppRole, with a secret id or without", () => {
    const role = { ...vault, VAULT_AUTH: "approle", VAULT_APPROLE_ROLE_ID: "r1" };
    const login = { method: "approle", mount: "approle", roleId: "r1", secretId: undefined, secretIdFile: undefined };
    expect(load(role).provider).toEqual({ ...settings, login });
    expect(load({ ...role, VAULT_APPROLE_SECRET_ID: "s1" }).provider).toMatchObject({ login: { secretId: "s1" } });
  });

  it("logs in as a Kubernetes service account", () => {
    const env = { ...vault, VAULT_AUTH: "kubernetes", VAULT_KUBERNETES_ROLE: "kms", VAULT_KUBERNETES_MOUNT: "k8s/eu" };
    const tokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token";
    expect(load(env).provider).toMatchObject({
      login: { method: "kubernetes", mount: "k8s/eu", role: "kms", tokenFile },
    });
  });

  it.each<[string, Env, RegExp]>([
    ["no address", { ...vault, VAULT_ADDR: "", VAULT_TOKEN: "t" }, /^vault\.addr: is missing/m],
    ["no key", { ...vault, VAULT_TRANSIT_KEY: "", VAULT_TOKEN: "t" }, /^vault\.transit\.key: is missing/m],
    ["no token", vault, /^vault\.token: is missing, and so is vault\.token-file/m],
    ["two tokens", { ...vault, VAULT_TOKEN: "hunter2", VAULT_TOKEN_FILE: "t" }, /^vault\.token: is set, and so is/m],
    ["a token of two words", { ...vault, VAULT_TOKEN: "hunter2 hunter2" }, /^vault\.token /m],
    [
      "a token where its file is due",
      { ...vault, VAULT_TOKEN_FILE: "hvs.CAESIhunter2hunter2hunter2" },
      /^vault\.token-file .*: must be the path of a file, not the secret itself$/m,
    ],
    [
      "a secret id where its file is due",
      { ...vault, VAULT_AUTH: "approle", VAULT_APPROLE_SECRET_ID_FILE: "84896a0c-1347-aa90-a4f6-aca8b7558780" },
      /^vault\.approle\.secret-id-file .*: must be the path of a file, not the secret itself$/m,
    ],
    [
      "a service account's token where its file is due",
      { ...vault, VAULT_AUTH: "kubernetes", VAULT_KUBERNETES_TOKEN_FILE: "eyJhbGciOiJSUzI1NiJ9.hunter2.c2ln" },
      /^vault\.kubernetes\.token-file .*: must be the path of a file, not the secret itself$/m,
    ],
    ["no role id", { ...vault, VAULT_AUTH: "approle" }, /^vault\.approle\.role-id: is missing/m],
    ["no role", { ...vault, VAULT_AUTH: "kubernetes" }, /^vault\.kubernetes\.role: is missing/m],
    [
      "a path that climbs",
      { ...vault, VAULT_TOKEN: "t", VAULT_TRANSIT_MOUNT: "transit/../sys" },
      /^vault\.transit\.mount/m,
    ],
    ["an unknown login", { ...vault, VAULT_TOKEN: "t", VAULT_AUTH: "userpass" }, /^vault\.auth/m],
  ])("is refused with %s", (_what, env, problem) => {
    const problems = problemsOf(() => load(env));
    expect(problems).toMatch(problem);
    expect(problems).not.toContain("hunter2");
  });
});

describe("a server that is not https", () => {
  it.each<[string, Env]>([
    ["aws.kms.endpoint", { ...aws, AWS_KMS_ENDPOINT: "http://kms.internal:4566" }],
    ["aws.kms.failover", { ...aws, AWS_KMS_FAILOVER: "eu-west-1=mrk-1@http://kms.internal:4566" }],
    ["gcp.kms.endpoint", { ...gcp, GCP_KMS_ENDPOINT: "http://kms.internal" }],
    ["vault.addr", { ...vault, VAULT_ADDR: "http://vault.internal:8200", VAULT_TOKEN: "t" }],
  ])("is warned of in %s, and refused in production", (name, env) => {
    expect(load(env).warnings.join("\n")).toMatch(new RegExp(`^${name} http://.* is not https`, "m"));
    expect(problemsOf(() => load({ ...production, ...env }))).toContain(`${name}: http://`);
  });

  it.each([
    "http://127.0.0.1.example.com:8200",
    "http://localhost.example.com:8200",
    "http://localhost@example.com:8200",
    "http://[::ffff:192.0.2.1]:8200",
    "http://0.0.0.0:8200",
    "http://3232235777:8200",
    "HTTP://vault.internal:8200",
    "http:\\\\vault.internal:8200",
    "http:vault.internal:8200",
  ])("is refused in production at %s, which is no loopback address", (addr) => {
    const env = { ...production, ...vault, VAULT_ADDR: addr, VAULT_TOKEN: "t" };
    expect(problemsOf(() => load(env))).toMatch(/^vault\.addr/m);
  });

  it.each(["http://127.0.0.1:8200", "http://localhost:8200", "http://[::1]:8200"])("is accepted at %s", (addr) => {
    expect(problemsOf(() => load({ ...production, ...vault, VAULT_ADDR: addr, VAULT_TOKEN: "t" }))).toBe("");
  });
});

describe("the other provider", () => {
  it("has the settings of its kind under names of its own", () => {
    const cwd = directory();
    const env = { ...aws, FLUO_KMS_OTHER_PROVIDER: "local", FLUO_KMS_OTHER_LOCAL_MASTER_KEY_FILE: "old.key" };
    const { provider, otherProvider } = loadConfig({ env, cwd });
    expect(provider.name).toBe("aws");
    expect(otherProvider).toEqual({ name: "local", masterKeyFile: join(cwd, "old.key") });
  });

  it("may be the same provider with another key and other credentials", () => {
    const other = {
      FLUO_KMS_OTHER_PROVIDER: "aws",
      FLUO_KMS_OTHER_AWS_KMS_MASTER_KEY_ID: "alias/old",
      FLUO_KMS_OTHER_AWS_KMS_PROFILE: "old-account",
    };
    expect(load({ ...aws, ...other }).otherProvider).toMatchObject({
      places: [{ masterKeyId: "alias/old" }],
      profile: "old-account",
    });
  });

  it("may be a key of Google Cloud KMS", () => {
    const other = { FLUO_KMS_OTHER_PROVIDER: "gcp", FLUO_KMS_OTHER_GCP_KMS_KEY: `${gcpKey}-old` };
    expect(load({ ...gcp, ...other }).otherProvider).toMatchObject({ name: "gcp", key: `${gcpKey}-old` });
  });

  it("is told what it lacks by its own names", () => {
    const problems = problemsOf(() => load({ FLUO_KMS_OTHER_PROVIDER: "vault" }));
    for (const name of ["vault.addr", "vault.transit.key", "vault.token"]) {
      expect(problems).toContain(`fluo.kms.other.${name}: is missing`);
    }
  });

  it("is refused in production in the clear too", () => {
    const other = {
      FLUO_KMS_OTHER_PROVIDER: "vault",
      FLUO_KMS_OTHER_VAULT_TRANSIT_KEY: "k",
      FLUO_KMS_OTHER_VAULT_TOKEN: "t",
    };
    const env = { ...production, ...aws, ...other, FLUO_KMS_OTHER_VAULT_ADDR: "http://vault.internal" };
    expect(problemsOf(() => load(env))).toContain("fluo.kms.other.vault.addr: http://vault.internal is not https");
  });

  it("with its master key in memory opens nothing that was there before, and is refused", () => {
    expect(problemsOf(() => load({ ...aws, FLUO_KMS_OTHER_PROVIDER: "local" }))).toContain(
      "fluo.kms.other.local.master-key-file: is missing",
    );
  });
});

describe("tenants to load first", () => {
  it("are named, or recent", () => {
    expect(load({ KMS_CACHE_WARM: "acme, globex" }).cache.warm).toEqual(["acme", "globex"]);
    expect(load({ KMS_CACHE_WARM: "recent" }).cache.warm).toBe("recent");
  });

  it.each(["Acme", "acme,,globex", "acme;globex"])("are not %s", (text) => {
    expect(problemsOf(() => load({ KMS_CACHE_WARM: text }))).toContain("kms.cache.warm");
  });
});
