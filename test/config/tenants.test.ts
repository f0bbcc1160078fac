/** Which provider key a tenant has, as operators write it: here or there, by name or in full. */
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { directory, load, problemsOf } from "../support/config-fixture.ts";

const arn = "arn:aws:kms:eu-west-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const aws = [
  "fluo.kms.provider=aws",
  "aws.kms.master-key-id=alias/fluo-kms",
  "aws.kms.region=eu-central-1",
  "aws.kms.profile=kms",
];
const vault = ["fluo.kms.provider=vault", "vault.addr=https://vault.example.com:8200", "vault.transit.key=fluo-kms"];
const vaultToken = { VAULT_TOKEN: "hvs.token" };
const declared = (name: string, ...settings: string[]) =>
  settings.map((setting) => `fluo.kms.provider-keys.${name}.${setting}`);
const bankVault = ["provider=vault", "vault.addr=https://vault.bank.example:8200", "vault.transit.key=kms"];
const bank = declared("bank", ...bankVault, "vault.token-file=token");
const tenant = (id: string, providerKey: string) => `fluo.kms.tenants.${id}.provider-key=${providerKey}`;

const tenantProviderKeys = (lines: string[], env: Record<string, string> = {}) =>
  load(env, lines.join("\n")).tenantProviderKeys;
const problems = (lines: string[], env: Record<string, string> = {}) =>
  problemsOf(() => load(env, lines.join("\n")))
    .split("\n")
    .map((line) => line.replace(/ \(\/\S+\)/, ""));

describe("a declared provider key", () => {
  it("has all the settings of its provider, with their defaults, and none of the service's own", () => {
    const { providerKeys, tenants } = tenantProviderKeys([...aws, ...bank, tenant("acme", "bank")]);
    expect([...providerKeys.keys()]).toEqual(["bank"]);
    expect(providerKeys.get("bank")).toMatchObject({
      name: "vault",
      addr: "https://vault.bank.example:8200",
      mount: "transit",
      key: "kms",
      login: { method: "token", token: undefined, tokenFile: expect.stringMatching(/\/token$/) },
    });
    expect(tenants).toEqual(new Map([["acme", "bank"]]));
  });

  it("may have a secret in the environment", () => {
    const lines = [...aws, ...bank.slice(0, 3)];
    const env = { FLUO_KMS_PROVIDER_KEYS_BANK_VAULT_TOKEN: "hvs.other" };
    expect(tenantProviderKeys(lines, env).providerKeys.get("bank")).toMatchObject({ login: { token: "hvs.other" } });
    expect(problems(lines)).toEqual([
      "fluo.kms.provider-keys.bank.vault.token: is missing, and so is fluo.kms.provider-keys.bank.vault.token-file; set one of the two",
    ]);
  });

  const gcp = ["provider=gcp", "gcp.kms.key=projects/bank/locations/global/keyRings/r/cryptoKeys/k"];
  const elsewhere = [...gcp, "gcp.kms.endpoint=https://kms.bank.example"];
  const kubernetes = [...bankVault, "vault.auth=kubernetes", "vault.kubernetes.role=kms"];

  it.each([
    [elsewhere, "gcp.kms.credentials-file", "this service's own", "bank.json"],
    [kubernetes, "vault.kubernetes.token-file", "the pod's own", "bank.jwt"],
  ])("does not give the service's own credentials to whoever runs its server: %j", (settings, own, whose, file) => {
    const problem = `fluo.kms.provider-keys.bank.${own}: is missing; ${whose}`;
    expect(problems(declared("bank", ...settings))).toEqual([
      expect.stringMatching(new RegExp(`^${RegExp.escape(problem)}`)),
    ]);
    const lines = declared("bank", ...settings, `${own}=${file}`);
    expect(tenantProviderKeys([...aws, ...lines]).providerKeys.size).toBe(1);
  });

  it("has the service's own credentials at Google's own servers, and may be for no tenant: it opens what it wrapped", () => {
    const google = [...gcp, "gcp.kms.endpoint=https://cloudkms-bank.p.googleapis.com"];
    for (const lines of [declared("bank", ...gcp), declared("bank", ...google), bank]) {
      const { providerKeys, tenants } = tenantProviderKeys([...aws, ...lines]);
      expect([providerKeys.size, tenants.size]).toEqual([1, 0]);
    }
  });

  it("counts by profile, like every setting", () => {
    const lines = [...aws, ...bank, `%staging.${tenant("acme", "bank")}`];
    expect(tenantProviderKeys(lines).tenants.size).toBe(0);
    expect(tenantProviderKeys([...lines, "fluo.kms.profile=staging"]).tenants).toEqual(new Map([["acme", "bank"]]));
  });
});

describe("a key of the service's own provider", () => {
  const gcpKey = (project: string) => `projects/${project}/locations/europe-west3/keyRings/r/cryptoKeys/k`;
  const gcp = ["fluo.kms.provider=gcp", `gcp.kms.key=${gcpKey("ours")}`, "gcp.kms.credentials-file=google.json"];
  const azureKey = (whose: string) => `https://${whose}.vault.azure.net/keys/kms`;
  const azure = ["fluo.kms.provider=azure", `azure.key-vault.key=${azureKey("ours")}`];
  const endpoint = "https://vpce.example.com";
  const there = arn.replace("eu-west-1", "eu-central-1");
  const inAws = (region: string, masterKeyId: string, at?: string) => {
    return { name: "aws", places: [{ region, masterKeyId, endpoint: at }], profile: "kms" };
  };
  const login = { method: "token", token: "hvs.token" };

  it.each<[string, string[], string, object]>([
    ["an ARN, whose region it has", aws, arn, inAws("eu-west-1", arn)],
    ["in another region, without the endpoint", [...aws, `aws.kms.endpoint=${endpoint}`], arn, inAws("eu-west-1", arn)],
    [
      "in the service's own region, with its endpoint",
      [...aws, `aws.kms.endpoint=${endpoint}`],
      there,
      inAws("eu-central-1", there, endpoint),
    ],
    [
      "of the same Vault, by its path",
      vault,
      "teams/a/keys/acme",
      { name: "vault", addr: "https://vault.example.com:8200", mount: "teams/a", key: "acme", login },
    ],
    [
      "of Google Cloud KMS in any project",
      gcp,
      gcpKey("theirs"),
      {
        name: "gcp",
        key: gcpKey("theirs"),
        endpoint: undefined,
        credentialsFile: expect.stringMatching(/google\.json$/),
      },
    ],
    [
      "in any vault of Azure",
      azure,
      azureKey("theirs"),
      { name: "azure", key: azureKey("theirs"), instanceDiscovery: true },
    ],
  ])("is one %s, with the service's own credentials", (_what, lines, key, settings) => {
    const { providerKeys, tenants } = tenantProviderKeys([...lines, tenant("acme.co-1", key)], vaultToken);
    expect(tenants).toEqual(new Map([["acme.co-1", key]]));
    expect([...providerKeys]).toEqual([[key, expect.objectContaining(settings)]]);
  });

  it("is one for all tenants that have it", () => {
    const { providerKeys, tenants } = tenantProviderKeys([...aws, ...["a", "b", "c"].map((id) => tenant(id, arn))]);
    expect([providerKeys.size, tenants.size]).toEqual([1, 3]);
  });
});

describe("the file of tenants", () => {
  const setting = "fluo.kms.tenants.file=tenants.properties";
  const inFile = (lines: string[], others: string[] = []) => {
    const properties = [...aws, ...others, setting].join("\n");
    const cwd = directory({ "application.properties": properties, "tenants.properties": lines.join("\n") });
    return () => loadConfig({ env: {}, cwd }).tenantProviderKeys;
  };

  it("declares keys, and has tenants of its own and of keys that are declared elsewhere", () => {
    expect(inFile([...bank, tenant("acme", "bank"), tenant("beta", "bank")])().tenants.size).toBe(2);
    expect(inFile([tenant("acme", "bank")], bank)().providerKeys.get("bank")).toMatchObject({ name: "vault" });
  });

  it("must be there", () => {
    expect(problems([...aws, "fluo.kms.tenants.file=nowhere"])).toEqual([
      expect.stringMatching(/nowhere: cannot be read \(ENOENT\)/),
    ]);
  });

  it.each<[string[], string[], RegExp]>([
    [["aws.kms.region=eu-west-1"], [], /^aws\.kms\.region \(.*tenants\.properties\): does not belong here/],
    [["acme=bank"], [], /^acme \(.*\): does not belong here/],
    [
      [tenant("acme", arn)],
      [tenant("acme", arn)],
      /^fluo\.kms\.tenants\.acme\.provider-key \(.*tenants\.properties\): is in another file too/,
    ],
    [bank, bank, /^fluo\.kms\.provider-keys\.bank \(.*\): is in another file too/],
  ])("has nothing else in it, and says nothing that application.properties says too: %j", (lines, others, problem) => {
    expect(problemsOf(inFile(lines, others))).toMatch(problem);
  });
});

describe("refuses", () => {
  const prod = ["fluo.kms.profile=prod", "fluo.kms.issuer=x"];
  const clear = declared("bank", "vault.addr=http://vault.bank.example");
  const keyFile = declared("dev", "provider=local", "local.master-key-file=k");
  const pinned = declared("a", "provider=azure", `azure.store-key-fingerprint=${"0".repeat(64)}`);

  it.each<[string, string[], string]>([
    [
      "a name that is not declared",
      [...bank, tenant("acme", "bamk")],
      "fluo.kms.tenants.acme.provider-key: names no provider key; did you mean bank?",
    ],
    ["a tenant that cannot be", [tenant("ACME", arn)], "fluo.kms.tenants.ACME.provider-key: is unknown"],
    [
      "a setting that no provider has",
      [...bank, ...declared("bank", "vault.adr=x")],
      "fluo.kms.provider-keys.bank.vault.adr: is unknown",
    ],
    [
      "a fingerprint of the store's key, which is under none of these",
      pinned,
      "fluo.kms.provider-keys.a.azure.store-key-fingerprint: is unknown",
    ],
    ["a key without a provider", bank.slice(1), "fluo.kms.provider-keys.bank.provider: is missing"],
    [
      "a value that its setting refuses",
      [...bank, ...declared("bank", "vault.addr=ftp://x")],
      "fluo.kms.provider-keys.bank.vault.addr: must be a URL",
    ],
    [
      "a master key in memory",
      declared("dev", "provider=local"),
      "fluo.kms.provider-keys.dev.local.master-key-file: is missing",
    ],
    [
      "a key file in production",
      [...prod, ...keyFile],
      "fluo.kms.provider-keys.dev.provider: local is for development",
    ],
    [
      "keys in the clear in production",
      [...prod, ...bank, ...clear],
      "fluo.kms.provider-keys.bank.vault.addr: http://vault.bank.example is not https",
    ],
  ])("%s", (_what, lines, problem) => {
    expect(problems([...aws, ...lines])).toContainEqual(
      expect.stringMatching(new RegExp(`^${RegExp.escape(problem)}`)),
    );
  });

  it.each<[string, string[], string, RegExp]>([
    ["a word", aws, "1234", /declare one with fluo\.kms\.provider-keys\.NAME\.provider=….*: an ARN of a key$/],
    ["a path that is another's", vault, "a/../b/keys/k", /MOUNT\/keys\/NAME$/],
    ["another provider's notation", vault, arn, /MOUNT\/keys\/NAME$/],
    ["a key in full where the provider has but one", [], arn, /names no provider key; declare one with [^,]*$/],
  ])("%s that is no key in full", (_what, lines, key, problem) => {
    expect(problems([...lines, tenant("acme", key)], lines === vault ? vaultToken : {})).toContainEqual(
      expect.stringMatching(problem),
    );
  });

  it("a tenant in a variable, which could be several", () => {
    expect(problems(aws, { FLUO_KMS_TENANTS_ACME_PROVIDER_KEY: arn })).toEqual([
      expect.stringMatching(/^FLUO_KMS_TENANTS_ACME_PROVIDER_KEY: is a variable/),
    ]);
  });
});
