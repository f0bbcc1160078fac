/** The settings of AWS KMS, of Azure, Google Cloud KMS and Vault, and those of a second provider key. */
import { describe, expect, it } from "vitest";
import { environmentName } from "../../src/config/sources.ts";
import { type Env, load, problemsOf } from "../support/config-fixture.ts";

const production = {
  FLUO_KMS_PROFILE: "prod",
  FLUO_KMS_ISSUER: "kms.example.com",
  FLUO_KMS_AUTH: "policy",
  FLUO_KMS_POLICY_FILE: "policy.yaml",
};
const gcpKey = "projects/audit-1/locations/europe-west1/keyRings/kms/cryptoKeys/fluo";
const azureKey = "https://fluo.vault.azure.net/keys/fluo-kms";
const vaultAddr = "https://vault.example.com:8200";
const aws = { FLUO_KMS_PROVIDER: "aws", AWS_KMS_MASTER_KEY_ID: "alias/fluo-kms" };
const azure = { FLUO_KMS_PROVIDER: "azure", AZURE_KEY_VAULT_KEY: azureKey };
const gcp = { FLUO_KMS_PROVIDER: "gcp", GCP_KMS_KEY: gcpKey };
const vault = { FLUO_KMS_PROVIDER: "vault", VAULT_ADDR: vaultAddr, VAULT_TRANSIT_KEY: "fluo" };
const approle = { ...vault, VAULT_AUTH: "approle", VAULT_APPROLE_ROLE_ID: "r1" };
const kubernetes = { ...vault, VAULT_AUTH: "kubernetes", VAULT_KUBERNETES_ROLE: "kms" };
const withToken = { ...vault, VAULT_TOKEN: "t" };

/** A path that begins where the service runs. */
const pathOf = (file: string) => expect.stringMatching(new RegExp(`^/.*/${file}$`));
const ofAzure = { name: "azure", caFile: undefined, instanceDiscovery: true, verifyChallengeResource: true };
const ofGcp = { name: "gcp", key: gcpKey, endpoint: undefined, credentialsFile: undefined };
const ofVault = {
  name: "vault",
  addr: vaultAddr,
  namespace: undefined,
  caFile: undefined,
  mount: "transit",
  key: "fluo",
};
const byRole = { method: "approle", mount: "approle", roleId: "r1", secretId: undefined, secretIdFile: undefined };
const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const mrk = "mrk-1234abcd12ab34cd56ef1234567890ab";

describe("a provider has", () => {
  const awsPlace = (masterKeyId: string, region?: string, endpoint?: string) => ({ region, masterKeyId, endpoint });
  it.each<[what: string, env: Env, more: Env, provider: object]>([
    ["a key, and leaves the rest to AWS's SDK", aws, {}, { name: "aws", places: [awsPlace("alias/fluo-kms")] }],
    [
      "the quickstart's names, and replicas of AWS in order",
      { ...production, FLUO_KMS_PROVIDER: "aws" },
      {
        "aws.kms.master-key-id": `arn:aws:kms:us-east-1:111122223333:key/${mrk}`,
        "aws.kms.region": "us-east-1",
        "aws.kms.endpoint": "https://vpce-1.kms.us-east-1.vpce.amazonaws.com/",
        "aws.kms.failover": `us-west-2=${mrk}, eu-west-1=alias/fluo@https://localhost:4566`,
        "aws.kms.profile": "audit",
      },
      {
        name: "aws",
        places: [
          awsPlace(
            `arn:aws:kms:us-east-1:111122223333:key/${mrk}`,
            "us-east-1",
            "https://vpce-1.kms.us-east-1.vpce.amazonaws.com",
          ),
          awsPlace(mrk, "us-west-2"),
          awsPlace("alias/fluo", "eu-west-1", "https://localhost:4566"),
        ],
        profile: "audit",
      },
    ],
    ["a key, and leaves the credentials to Google's own rules", gcp, {}, ofGcp],
    [
      "an endpoint and a file of credentials of Google's",
      gcp,
      { "gcp.kms.endpoint": "https://kms.p.googleapis.com/", "gcp.kms.credentials-file": "gcp.json" },
      { ...ofGcp, endpoint: "https://kms.p.googleapis.com", credentialsFile: pathOf("gcp.json") },
    ],
    ...["123456789012", "example.com:audit-1"].map((project): [string, Env, Env, object] => {
      const key = gcpKey.replace("audit-1", project);
      return [`a project of Google's as ${project}`, { ...gcp, GCP_KMS_KEY: key }, {}, { ...ofGcp, key }];
    }),
    ["a key of Azure", azure, {}, { ...ofAzure, key: azureKey }],
    [
      "a key of Managed HSM, in any case, an authority file, and switches for clouds and networks of one's own",
      { FLUO_KMS_PROVIDER: "azure" },
      {
        "azure.key-vault.key": "https://Fluo.managedhsm.azure.net/keys/KMS/",
        "azure.cacert": "ca.pem",
        "azure.instance-discovery": "false",
        "azure.verify-challenge-resource": "FALSE",
      },
      {
        name: "azure",
        key: "https://fluo.managedhsm.azure.net/keys/kms",
        caFile: pathOf("ca.pem"),
        instanceDiscovery: false,
        verifyChallengeResource: false,
      },
    ],
    [
      "a token, by the names of Vault's own tools",
      { ...vault, VAULT_TOKEN: "s.hunter2", VAULT_NAMESPACE: "teams/audit/", VAULT_CACERT: "ca.pem" },
      {},
      {
        ...ofVault,
        namespace: "teams/audit",
        caFile: pathOf("ca.pem"),
        login: { method: "token", token: "s.hunter2", tokenFile: undefined },
      },
    ],
    ["an AppRole without a secret id", approle, {}, { ...ofVault, login: byRole }],
    [
      "an AppRole with a secret id",
      { ...approle, VAULT_APPROLE_SECRET_ID: "s1" },
      {},
      { ...ofVault, login: { ...byRole, secretId: "s1" } },
    ],
    [
      "a Kubernetes service account",
      { ...kubernetes, VAULT_KUBERNETES_MOUNT: "k8s/eu" },
      {},
      { ...ofVault, login: { method: "kubernetes", mount: "k8s/eu", role: "kms", tokenFile: serviceAccount } },
    ],
  ])("%s", (_what, env, more, provider) => {
    const lines = Object.entries(more).map(([name, value]) => `${name}=${value}`);
    const config = load(env, lines.join("\n"));
    expect(config.provider).toEqual(provider);
    expect(config.store.name).toBe("sqlite");
    expect(config.storeKeyPin).toBeUndefined();
    if (env.FLUO_KMS_PROFILE !== undefined) expect(config.warnings).toEqual([]);
  });
});

describe("a provider's setting that is wrong", () => {
  const notContent = "must be the path of a file, not the secret itself";
  it.each<[base: Env, name: string, value: string, problem?: string]>([
    [aws, "aws.kms.master-key-id", "", "is missing"],
    [aws, "aws.kms.master-key-id", "my key"],
    [aws, "aws.kms.region", "Frankfurt"],
    [aws, "aws.kms.endpoint", "https://a:hunter2@b"],
    [aws, "aws.kms.endpoint", "https://a/b"],
    [aws, "aws.kms.failover", "mrk-1"],
    [aws, "aws.kms.failover", "us-west-2="],
    [aws, "aws.kms.failover", "us-west-2=mrk-1,"],
    [gcp, "gcp.kms.key", "", "is missing; set it to the key's resource name"],
    [gcp, "gcp.kms.key", "fluo", "must be a key's resource name"],
    [gcp, "gcp.kms.key", gcpKey.replace("kms", ".."), "must be a key's resource name"],
    [gcp, "gcp.kms.key", `${gcpKey}/cryptoKeyVersions/3`, "must name the key without a version"],
    [gcp, "gcp.kms.endpoint", "https://a/v1"],
    [gcp, "gcp.kms.credentials-file", "-----BEGIN hunter2", "not its content"],
    [azure, "azure.key-vault.key", "", "is missing"],
    [azure, "azure.key-vault.key", `${azureKey}/${"0".repeat(32)}`, "names a version of the key; leave it out"],
    [azure, "azure.key-vault.key", "http://fluo.vault.azure.net/keys/kms", "must be the identifier of a key"],
    [azure, "azure.key-vault.key", "https://fluo.vault.azure.net/secrets/kms"],
    [azure, "azure.key-vault.key", "fluo-kms"],
    [azure, "azure.key-vault.key", "https://a:hunter2@b/keys/kms"],
    [azure, "azure.key-vault.key", `${azureKey}?x=1`],
    [azure, "azure.store-key-fingerprint", "A".repeat(64)],
    [azure, "azure.store-key-fingerprint", "a".repeat(63)],
    [azure, "azure.instance-discovery", "no"],
    [withToken, "vault.addr", "", "is missing"],
    [withToken, "vault.transit.key", "", "is missing"],
    [withToken, "vault.token", "", "is missing, and so is vault.token-file"],
    [withToken, "vault.token", "hunter2 hunter2"],
    [withToken, "vault.transit.mount", "transit/../sys"],
    [withToken, "vault.auth", "userpass"],
    [vault, "vault.token-file", "hvs.CAESIhunter2hunter2hunter2", notContent],
    [approle, "vault.approle.role-id", "", "is missing"],
    [approle, "vault.approle.secret-id-file", "84896a0c-1347-aa90-a4f6-aca8b7558780", notContent],
    [kubernetes, "vault.kubernetes.role", "", "is missing"],
    [kubernetes, "vault.kubernetes.token-file", "eyJhbGciOiJSUzI1NiJ9.hunter2.c2ln", notContent],
  ])("is refused: %j with %s=%s", (base, name, value, problem = "") => {
    const problems = problemsOf(() => load({ ...base, [environmentName(name)]: value }));
    const own = problems.split("\n").filter((line) => new RegExp(`^${name}(:| \\(.*\\):) `).test(line));
    expect(own).toEqual([expect.stringContaining(problem)]);
    expect(problems).not.toContain("hunter2");
  });

  it("is one of two where two tokens are set", () => {
    const problems = problemsOf(() => load({ ...vault, VAULT_TOKEN: "hunter2", VAULT_TOKEN_FILE: "t" }));
    expect(problems).toMatch(/^vault\.token: is set, and so is/m);
    expect(problems).not.toContain("hunter2");
  });

  it.each<[string, Env, string]>([
    ["in the environment", { ...gcp, GCP_KMS_KEY: "fluo" }, ""],
    ["in the file", { FLUO_KMS_PROVIDER: "gcp" }, "gcp.kms.key=fluo"],
    ["for a profile", { ...production, FLUO_KMS_PROVIDER: "gcp" }, "%prod.gcp.kms.key=fluo"],
    ["that may be one of two", vault, `vault.token-file=\${TOKEN_FILE}`],
  ])("is not said to be missing too: %s", (_where, env, properties) => {
    expect(problemsOf(() => load(env, properties))).not.toContain("is missing");
  });
});

describe("the SDKs' own variables", () => {
  it("for an endpoint have no effect, which is said with AWS alone", () => {
    const variables = { AWS_ENDPOINT_URL: "http://kms.example.com", AWS_ENDPOINT_URL_KMS: "http://kms.example.com" };
    const said = Object.keys(variables).map((name) => `${name} has no effect: set aws.kms.endpoint.`);
    expect(load({ ...aws, ...variables }).warnings).toEqual(expect.arrayContaining(said));
    expect(load({ ...withToken, ...variables }).warnings.join()).not.toContain("AWS_ENDPOINT_URL");
  });

  it("for Azure's credentials and authority are left to it, and in no configuration", () => {
    const own = {
      AZURE_TENANT_ID: "t",
      AZURE_CLIENT_ID: "c",
      AZURE_CLIENT_SECRET: "hunter2",
      AZURE_AUTHORITY_HOST: "h",
    };
    const config = load({ ...production, ...azure, ...own });
    expect(JSON.stringify(config)).not.toContain("hunter2");
    expect([...config.warnings, ...load({ ...production, ...aws }).warnings]).toEqual([]);
  });
});

it("whoever speaks in the name of a vault of one's own is given a token, which is warned of", () => {
  expect(load(azure, "azure.verify-challenge-resource=false").warnings).toContain(
    "azure.verify-challenge-resource is false: whoever speaks TLS in the name of fluo.vault.azure.net is given a token.",
  );
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

describe("a server that is not https", () => {
  it.each<[string, Env]>([
    ["aws.kms.endpoint", { ...aws, AWS_KMS_ENDPOINT: "http://kms.internal:4566" }],
    ["aws.kms.failover", { ...aws, AWS_KMS_FAILOVER: "eu-west-1=mrk-1@http://kms.internal:4566" }],
    ["gcp.kms.endpoint", { ...gcp, GCP_KMS_ENDPOINT: "http://kms.internal" }],
    ["vault.addr", { ...withToken, VAULT_ADDR: "http://vault.internal:8200" }],
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
    expect(problemsOf(() => load({ ...production, ...withToken, VAULT_ADDR: addr }))).toMatch(/^vault\.addr/m);
  });

  it.each(["http://127.0.0.1:8200", "http://localhost:8200", "http://[::1]:8200"])("is accepted at %s", (addr) => {
    expect(problemsOf(() => load({ ...production, ...withToken, VAULT_ADDR: addr }))).toBe("");
  });
});

describe("the other provider", () => {
  const other = (provider: string, settings: Env = {}): Env => ({
    FLUO_KMS_OTHER_PROVIDER: provider,
    ...Object.fromEntries(Object.entries(settings).map(([name, value]) => [`FLUO_KMS_OTHER_${name}`, value])),
  });

  it.each<[string, Env, Env, object]>([
    [
      "the settings of its kind under names of its own",
      aws,
      other("local", { LOCAL_MASTER_KEY_FILE: "old.key" }),
      { name: "local", masterKeyFile: pathOf("old.key") },
    ],
    [
      "the same provider with another key and other credentials",
      aws,
      other("aws", { AWS_KMS_MASTER_KEY_ID: "alias/old", AWS_KMS_PROFILE: "old-account" }),
      { name: "aws", places: [{ masterKeyId: "alias/old" }], profile: "old-account" },
    ],
    [
      "a key of Google Cloud KMS",
      gcp,
      other("gcp", { GCP_KMS_KEY: `${gcpKey}-old` }),
      { name: "gcp", key: `${gcpKey}-old` },
    ],
  ])("has %s", (_what, env, second, expected) => {
    const { provider, otherProvider } = load({ ...env, ...second });
    expect(provider.name).toBe(env.FLUO_KMS_PROVIDER);
    expect(otherProvider).toMatchObject(expected);
  });

  it("is told what it lacks by its own names", () => {
    const problems = problemsOf(() => load(other("vault")));
    for (const name of ["vault.addr", "vault.transit.key", "vault.token"]) {
      expect(problems).toContain(`fluo.kms.other.${name}: is missing`);
    }
  });

  it("is refused in production in the clear too", () => {
    const clear = other("vault", { VAULT_ADDR: "http://vault.internal", VAULT_TRANSIT_KEY: "k", VAULT_TOKEN: "t" });
    expect(problemsOf(() => load({ ...production, ...aws, ...clear }))).toContain(
      "fluo.kms.other.vault.addr: http://vault.internal is not https",
    );
  });

  it("with its master key in memory opens nothing that was there before, and is refused", () => {
    expect(problemsOf(() => load({ ...aws, ...other("local") }))).toContain(
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
