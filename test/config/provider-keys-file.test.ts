/** The file of named provider keys against the properties that say the same, and against its schema for editors. */
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import schema from "../../docs/provider-keys.schema.json" with { type: "json" };
import { fieldsOf, providerPrefixes, secretSettings } from "../../src/config/known-settings.ts";
import { loadConfig } from "../../src/config/load.ts";
import { directory, type Env, launchedWith, problemsOf } from "../support/config-fixture.ts";
import { isValid } from "../support/json-schema.ts";

type ProviderName = keyof typeof providerPrefixes;

const providers = Object.keys(providerPrefixes) as ProviderName[];
/** One value of each field, other than its default. */
const values: Record<string, string> = {
  "local.master-key-file": "/keys/master.key",
  "aws.kms.master-key-id": "alias/bank",
  "aws.kms.region": "eu-west-1",
  "aws.kms.endpoint": "https://kms.bank.example",
  "aws.kms.failover": "eu-central-1=alias/bank",
  "aws.kms.profile": "bank",
  "azure.key-vault.key": "https://bank.vault.azure.net/keys/kms",
  "azure.cacert": "/ca/azure.pem",
  "azure.instance-discovery": "false",
  "azure.verify-challenge-resource": "false",
  "gcp.kms.key": "projects/bank-1/locations/global/keyRings/r/cryptoKeys/k",
  "gcp.kms.endpoint": "https://kms.bank.example",
  "gcp.kms.credentials-file": "/credentials/gcp.json",
  "vault.addr": "https://vault.bank.example:8200",
  "vault.namespace": "bank",
  "vault.cacert": "/ca/vault.pem",
  "vault.transit.mount": "bank-transit",
  "vault.transit.key": "kms",
  "vault.auth": "approle",
  "vault.token-file": "/run/token",
  "vault.approle.mount": "bank-approle",
  "vault.approle.role-id": "bank-role",
  "vault.approle.secret-id-file": "/run/secret-id",
  "vault.kubernetes.mount": "bank-kubernetes",
  "vault.kubernetes.role": "bank",
  "vault.kubernetes.token-file": "/run/service-account",
};
const needed: Record<ProviderName, Record<string, string>[]> = {
  local: [pick("local.master-key-file")],
  aws: [pick("aws.kms.master-key-id")],
  azure: [pick("azure.key-vault.key")],
  gcp: [pick("gcp.kms.key", "gcp.kms.credentials-file")],
  vault: [
    { ...pick("vault.addr", "vault.transit.key", "vault.token-file"), "vault.auth": "token" },
    pick("vault.addr", "vault.transit.key", "vault.auth", "vault.approle.role-id"),
    {
      ...pick("vault.addr", "vault.transit.key", "vault.kubernetes.role", "vault.kubernetes.token-file"),
      "vault.auth": "kubernetes",
    },
  ],
};

function pick(...fields: string[]): Record<string, string> {
  return Object.fromEntries(fields.map((field) => [field, values[field]!]));
}

const plainFields = (provider: ProviderName) =>
  fieldsOf(provider)
    .map(([field]) => field)
    .filter((field) => !secretSettings.includes(field));
/** Every provider with the least that it needs, and that with each of its fields. */
const keys = providers.flatMap((provider) =>
  needed[provider].flatMap((least) =>
    plainFields(provider).map((field): [string, Record<string, string>] => {
      return [`${provider} with ${field}`, { provider, ...least, [field]: least[field] ?? values[field]! }];
    }),
  ),
);

function read(env: Env, files: Record<string, string>) {
  const cwd = directory({ "application.properties": "fluo.kms.store=memory", ...files });
  const { tenantProviderKeys, otherProvider } = loadConfig({ env, cwd, launch: launchedWith(env) });
  return { tenantProviderKeys, otherProvider };
}

const fileIn: Env = { FLUO_KMS_PROVIDER_KEYS_FILE: "keys.yaml" };
const inBoth = (file: object | string, lines: string[], env: Env = {}) =>
  read(
    { ...fileIn, ...env },
    {
      "application.properties": ["fluo.kms.store=memory", ...lines].join("\n"),
      "keys.yaml": typeof file === "string" ? file : JSON.stringify(file),
    },
  );
const inFile = (file: object | string, env: Env = {}) => inBoth(file, [], env);
const inProperties = (lines: string[], env: Env = {}) =>
  read(env, { "application.properties": ["fluo.kms.store=memory", ...lines].join("\n") });
const linesOf = (prefix: string, fields: Record<string, string>) =>
  Object.entries(fields).map(([field, text]) => `${prefix}.${field}=${text}`);

describe("says the same as properties", () => {
  it.each(keys)("of %s", (_, fields) => {
    const asTenants = inProperties([
      ...linesOf("fluo.kms.provider-keys.bank", fields),
      "fluo.kms.tenants.acme.provider-key=bank",
    ]);
    const file = { version: "1", keys: { bank: fields } };
    expect(isValid(schema, file)).toBe(true);
    expect(asTenants.tenantProviderKeys.providerKeys.size).toBe(1);
    expect(inFile({ ...file, tenants: { acme: "bank" } })).toEqual(asTenants);
    expect(inFile({ ...file, other: "bank" })).toEqual(inProperties(linesOf("fluo.kms.other", fields)));
  });

  it("and has a value above for every field but secrets", () => {
    expect(Object.keys(values).sort()).toEqual(providers.flatMap(plainFields).sort());
  });

  it("of a secret in the environment, for a key of tenants and for the other one", () => {
    const fields = { provider: "vault", ...pick("vault.addr", "vault.transit.key") };
    const env = { FLUO_KMS_PROVIDER_KEYS_BANK_VAULT_TOKEN: "hvs.bank" };
    const file = { version: "1", keys: { bank: fields } };
    expect(inFile(file, env)).toEqual(inProperties(linesOf("fluo.kms.provider-keys.bank", fields), env));
    const other = { FLUO_KMS_OTHER_VAULT_TOKEN: "hvs.bank" };
    expect(inFile({ ...file, other: "bank" }, env)).toEqual(inProperties(linesOf("fluo.kms.other", fields), other));
  });

  it("beside properties with other keys", () => {
    const lines = linesOf("fluo.kms.provider-keys.shop", { provider: "aws", ...needed.aws[0]! });
    const both = inBoth("version: 1\nkeys: {}\ntenants: { acme: shop }\n", lines);
    expect(both).toEqual(inProperties([...lines, "fluo.kms.tenants.acme.provider-key=shop"]));
  });
});

const bank = ["version: 1", "keys:", "  bank:", "    provider: vault"];
const addr = "    vault.addr: https://vault.bank.example:8200";
const key = "    vault.transit.key: kms";
const tokenFile = "    vault.token-file: /run/token";
const good = [...bank, addr, key, tokenFile];
const podsOwn = ["    vault.auth: kubernetes", "    vault.kubernetes.role: r"];

describe("is refused, with its line and field,", () => {
  const said = (call: () => unknown) =>
    problemsOf(call)
      .replaceAll(/\/\S+\/keys\.yaml/g, "keys.yaml")
      .split("\n");

  const byBoth: [lines: string[], problem: string][] = [
    [good.slice(1), "keys.yaml:1: the file needs version"],
    [[...good, "    vault.adr: x"], "keys.yaml:8: keys.bank has no vault.adr; known: provider, "],
    [[...good, "    gcp.kms.key: x"], "keys.yaml:8: keys.bank has no gcp.kms.key; known: "],
    [
      [...bank, "    vault.token: hvs.secret"],
      "keys.yaml:5: keys.bank.vault.token is a secret, which has no place in this file: name a file with vault.token-file, or set FLUO_KMS_PROVIDER_KEYS_BANK_VAULT_TOKEN",
    ],
    [
      ["version: 1", "keys: { Bank: { provider: local } }"],
      "keys.yaml:2: keys: Bank is no name of a key: write lower-case letters, digits and dashes",
    ],
    [[...good, "tenants: { Acme: bank }"], "keys.yaml:8: tenants: Acme is no tenant id: write the id as callers do"],
    [["version: 1", "keys: { bank: {} }"], "keys.yaml:2: keys.bank: needs provider: one of local, aws"],
    [
      ["version: 1", "keys:", "  bank: { vault.auth: token }"],
      "keys.yaml:3: keys.bank: needs provider: one of local, aws, azure, gcp, vault",
    ],
  ];
  const byService: [lines: string[], problem: string][] = [
    [["version: 2"], "keys.yaml:1: the file: version 1 is the one there is"],
    [[...good, "---", "version: 1"], "keys.yaml:8: a second document: a file of provider keys is one"],
    [[...good, ...bank.slice(2)], "keys.yaml:8: a second bank: a key stands once"],
    [[...good, "    azure.store-key-fingerprint: x"], "keys.yaml:8: keys.bank has no "],
    [["version: 1", "keys: [bank]"], "keys.yaml:2: keys must be a mapping, by name"],
    [[...good, "    vault.namespace: [a]"], "keys.yaml:8: keys.bank.vault.namespace must be text"],
    [
      ["version: 1", "keys: { bank: { provider: volt } }"],
      'keys.bank.provider (keys.yaml:2): "volt" is not a known word; available: local, aws, azure, gcp, vault',
    ],
    [[...bank, "    vault.addr: vault.bank.example", key, tokenFile], "keys.bank.vault.addr (keys.yaml:5): must be "],
    [[...bank, addr, tokenFile], "keys.bank.vault.transit.key (keys.yaml:3): is missing; set it to the key's name"],
    [
      [...bank, addr, key],
      "keys.bank.vault.token (keys.yaml:3): is missing, and so is keys.bank.vault.token-file; set one of the two",
    ],
    [
      [...bank, addr, key, ...podsOwn],
      "keys.bank.vault.kubernetes.token-file (keys.yaml:3): is missing; the pod's own token would go to vault.addr",
    ],
    [
      [...bank, addr, key, `    vault.token-file: \${TOKEN_FILE}`],
      `keys.bank.vault.token-file (keys.yaml:7): \${…} is not expanded`,
    ],
    [[...good, "tenants: { acme: banc }"], "tenants.acme (keys.yaml:8): names no provider key; did you mean bank?"],
    [[...good, "other: banc"], "other (keys.yaml:8): names no provider key; did you mean bank?"],
    [
      [...good, "other: bank", "tenants: { acme: bank }"],
      "tenants.acme (keys.yaml:9): names bank, which wraps nothing, as it is other; name another key",
    ],
  ];
  it.each([...byBoth, ...byService])("%j: %s", (lines, problem) => {
    const all = said(() => inFile(lines.join("\n")));
    expect(all).toContainEqual(expect.stringContaining(problem));
    expect(all.every((line) => /^\S+:\d+: |\(keys\.yaml:\d+\): /.test(line))).toBe(true);
    expect(all.join()).not.toContain("hvs.secret");
  });

  it.each(byBoth)("and by the schema for editors: %j", (lines) => {
    expect(isValid(schema, parse(lines.join("\n")))).toBe(false);
  });

  it("where it is not there", () => {
    expect(problemsOf(() => read(fileIn, {}))).toMatch(
      /keys\.yaml: cannot be read \(ENOENT\); give the path of a readable file$/,
    );
  });

  it("beside the same key, tenant or other key in properties", () => {
    const text = [...good, "other: old", "  # the former key", "tenants: { acme: bank }"].join("\n");
    const lines = [
      ...linesOf("fluo.kms.provider-keys.bank", { provider: "local", "local.master-key-file": "/a.key" }),
      ...linesOf("fluo.kms.provider-keys.old", { provider: "local", "local.master-key-file": "/b.key" }),
      "fluo.kms.tenants.acme.provider-key=bank",
      "fluo.kms.other.provider=aws",
      "fluo.kms.other.aws.kms.master-key-id=alias/old",
    ];
    expect(said(() => inBoth(text, lines))).toEqual([
      "other (keys.yaml:8): is set, and so is fluo.kms.other.provider; say it in one place",
      "keys.bank (keys.yaml:3): is in another file too; keep it in one",
      "tenants.acme (keys.yaml:10): is in another file too; keep it in one",
    ]);
  });
});

describe("the schema for editors", () => {
  it("has the fields of each provider, without secrets, and no others", () => {
    const { oneOf } = schema.properties.keys.additionalProperties;
    const stated = oneOf.map(({ properties }) => [properties.provider.const, Object.keys(properties).slice(1)]);
    expect(stated).toEqual(providers.map((provider) => [provider, plainFields(provider)]));
  });

  it("takes what the service takes, also with words that YAML reads as numbers and truths", () => {
    const azure = ["provider: azure", "azure.key-vault.key: https://a.vault.azure.net/keys/k"];
    const fields = [...azure, "azure.instance-discovery: false"].map((field) => `    ${field}`);
    const text = [...good, "  azure:", ...fields].join("\n");
    expect(isValid(schema, parse(text))).toBe(true);
    expect(inFile(text).tenantProviderKeys.providerKeys.size).toBe(2);
  });
});
