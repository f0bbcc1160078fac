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
const bank = [
  "fluo.kms.provider-keys.bank.provider=vault",
  "fluo.kms.provider-keys.bank.vault.addr=https://vault.bank.example:8200",
  "fluo.kms.provider-keys.bank.vault.transit.key=kms",
  "fluo.kms.provider-keys.bank.vault.token-file=token",
];

const tenantProviderKeys = (lines: string[], env: Record<string, string> = {}) =>
  load(env, lines.join("\n")).tenantProviderKeys;
const problems = (lines: string[], env: Record<string, string> = {}) =>
  problemsOf(() => load(env, lines.join("\n")))
    .split("\n")
    .map((line) => line.replace(/ \(\/\S+\)/, ""));

describe("a declared provider key", () => {
  it("has all the settings of its provider, with their defaults, and none of the service's own", () => {
    const { providerKeys, tenants } = tenantProviderKeys([...aws, ...bank, "fluo.kms.tenants.acme.provider-key=bank"]);
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

  it("does not give the service's own credentials to whoever runs its server", () => {
    const gcp = [
      "fluo.kms.provider-keys.bank.provider=gcp",
      "fluo.kms.provider-keys.bank.gcp.kms.key=projects/bank/locations/global/keyRings/r/cryptoKeys/k",
    ];
    expect(problems([...gcp, "fluo.kms.provider-keys.bank.gcp.kms.endpoint=https://kms.bank.example"])).toEqual([
      expect.stringMatching(
        /^fluo\.kms\.provider-keys\.bank\.gcp\.kms\.credentials-file: is missing; this service's own/,
      ),
    ]);
    const kubernetes = [
      ...bank.slice(0, 3),
      "fluo.kms.provider-keys.bank.vault.auth=kubernetes",
      "fluo.kms.provider-keys.bank.vault.kubernetes.role=kms",
    ];
    expect(problems(kubernetes)).toEqual([
      expect.stringMatching(
        /^fluo\.kms\.provider-keys\.bank\.vault\.kubernetes\.token-file: is missing; the pod's own/,
      ),
    ]);
    for (const lines of [
      gcp,
      [...gcp, "fluo.kms.provider-keys.bank.gcp.kms.endpoint=https://cloudkms-bank.p.googleapis.com"],
      [
        ...gcp,
        "fluo.kms.provider-keys.bank.gcp.kms.endpoint=https://kms.bank.example",
        "fluo.kms.provider-keys.bank.gcp.kms.credentials-file=bank.json",
      ],
      [...kubernetes, "fluo.kms.provider-keys.bank.vault.kubernetes.token-file=bank.jwt"],
    ]) {
      expect(tenantProviderKeys([...aws, ...lines]).providerKeys.size).toBe(1);
    }
  });

  it("may be for no tenant: it opens what it wrapped", () => {
    expect(tenantProviderKeys([...aws, ...bank]).tenants.size).toBe(0);
    expect(tenantProviderKeys([...aws, ...bank]).providerKeys.size).toBe(1);
  });

  it("counts by profile, like every setting", () => {
    const lines = [...aws, ...bank, `%staging.fluo.kms.tenants.acme.provider-key=bank`];
    expect(tenantProviderKeys(lines).tenants.size).toBe(0);
    expect(tenantProviderKeys([...lines, "fluo.kms.profile=staging"]).tenants).toEqual(new Map([["acme", "bank"]]));
  });
});

describe("a key of the service's own provider", () => {
  it("is an ARN, whose region it has, with the service's own credentials", () => {
    const { providerKeys, tenants } = tenantProviderKeys([...aws, `fluo.kms.tenants.acme.co-1.provider-key=${arn}`]);
    expect(tenants).toEqual(new Map([["acme.co-1", arn]]));
    const place = { region: "eu-west-1", masterKeyId: arn, endpoint: undefined };
    expect(providerKeys).toEqual(new Map([[arn, { name: "aws", places: [place], profile: "kms" }]]));
  });

  it("has the endpoint of the service's own region, and not of another", () => {
    const endpoint = "aws.kms.endpoint=https://vpce.example.com";
    const there = arn.replace("eu-west-1", "eu-central-1");
    const { providerKeys } = tenantProviderKeys([
      ...aws,
      endpoint,
      `fluo.kms.tenants.a.provider-key=${arn}`,
      `fluo.kms.tenants.b.provider-key=${there}`,
    ]);
    const endpoints = [arn, there]
      .map((name) => providerKeys.get(name))
      .map((each) => each?.name === "aws" && each.places[0].endpoint);
    expect(endpoints).toEqual([undefined, "https://vpce.example.com"]);
  });

  it("is a key of the same Vault, by its path", () => {
    const { providerKeys } = tenantProviderKeys(
      [...vault, "fluo.kms.tenants.acme.provider-key=teams/a/keys/acme"],
      vaultToken,
    );
    expect(providerKeys.get("teams/a/keys/acme")).toMatchObject({
      name: "vault",
      addr: "https://vault.example.com:8200",
      mount: "teams/a",
      key: "acme",
      login: { method: "token", token: "hvs.token" },
    });
  });

  it("is a key of Google Cloud KMS in any project, with the service's own credentials", () => {
    const key = (project: string) => `projects/${project}/locations/europe-west3/keyRings/r/cryptoKeys/k`;
    const { providerKeys } = tenantProviderKeys([
      "fluo.kms.provider=gcp",
      `gcp.kms.key=${key("ours")}`,
      "gcp.kms.credentials-file=google.json",
      `fluo.kms.tenants.acme.provider-key=${key("theirs")}`,
    ]);
    expect(providerKeys.get(key("theirs"))).toEqual({
      name: "gcp",
      key: key("theirs"),
      endpoint: undefined,
      credentialsFile: expect.stringMatching(/google\.json$/),
    });
  });

  it("is a key in any vault of Azure, with the service's own credentials", () => {
    const { providerKeys } = tenantProviderKeys([
      "fluo.kms.provider=azure",
      "azure.key-vault.key=https://ours.vault.azure.net/keys/kms",
      "fluo.kms.tenants.acme.provider-key=https://theirs.vault.azure.net/keys/kms",
    ]);
    expect([...providerKeys.values()]).toEqual([
      expect.objectContaining({
        name: "azure",
        key: "https://theirs.vault.azure.net/keys/kms",
        instanceDiscovery: true,
      }),
    ]);
  });

  it("is one for all tenants that have it", () => {
    const lines = ["a", "b", "c"].map((tenant) => `fluo.kms.tenants.${tenant}.provider-key=${arn}`);
    const { providerKeys, tenants } = tenantProviderKeys([...aws, ...lines]);
    expect([providerKeys.size, tenants.size]).toEqual([1, 3]);
  });
});

describe("the file of tenants", () => {
  const inFile = (text: string, properties = [...aws, "fluo.kms.tenants.file=tenants.properties"]) => {
    const cwd = directory({ "application.properties": properties.join("\n"), "tenants.properties": text });
    return () => loadConfig({ env: {}, cwd }).tenantProviderKeys;
  };

  it("declares keys, and has tenants of its own and of keys that are declared elsewhere", () => {
    const text = [...bank, "fluo.kms.tenants.acme.provider-key=bank", "fluo.kms.tenants.beta.provider-key=bank"];
    expect(inFile(text.join("\n"))().tenants.size).toBe(2);
    const declared = inFile("fluo.kms.tenants.acme.provider-key=bank", [
      ...aws,
      ...bank,
      "fluo.kms.tenants.file=tenants.properties",
    ]);
    expect(declared().providerKeys.get("bank")).toMatchObject({ name: "vault" });
  });

  it("must be there, and has nothing else in it", () => {
    expect(problems([...aws, "fluo.kms.tenants.file=nowhere"])).toEqual([
      expect.stringMatching(/nowhere: cannot be read \(ENOENT\)/),
    ]);
    expect(problemsOf(inFile("aws.kms.region=eu-west-1"))).toMatch(
      /^aws\.kms\.region \(.*tenants\.properties\): does not belong here/,
    );
    expect(problemsOf(inFile("acme=bank"))).toMatch(/^acme \(.*\): does not belong here/);
  });

  it("does not say what application.properties says too", () => {
    const line = `fluo.kms.tenants.acme.provider-key=${arn}`;
    expect(problemsOf(inFile(line, [...aws, line, "fluo.kms.tenants.file=tenants.properties"]))).toMatch(
      /^fluo\.kms\.tenants\.acme\.provider-key \(.*tenants\.properties\): is in another file too/,
    );
    const twice = inFile(bank.join("\n"), [...aws, ...bank, "fluo.kms.tenants.file=tenants.properties"]);
    expect(problemsOf(twice)).toMatch(/^fluo\.kms\.provider-keys\.bank \(.*\): is in another file too/);
  });
});

describe("refuses", () => {
  it.each([
    [
      "a name that is not declared",
      [...aws, ...bank, "fluo.kms.tenants.acme.provider-key=bamk"],
      /names no provider key; did you mean bank\?/,
    ],
    [
      "a word that is no key in full",
      [...aws, "fluo.kms.tenants.acme.provider-key=1234"],
      /declare one with fluo\.kms\.provider-keys\.NAME\.provider=….*: an ARN of a key$/,
    ],
    ["a path that is another's", [...vault, "fluo.kms.tenants.acme.provider-key=a/../b/keys/k"], /MOUNT\/keys\/NAME$/],
    ["another provider's notation", [...vault, `fluo.kms.tenants.acme.provider-key=${arn}`], /MOUNT\/keys\/NAME$/],
    [
      "a key in full where the provider has but one",
      [`fluo.kms.tenants.acme.provider-key=${arn}`],
      /names no provider key; declare one with [^,]*$/,
    ],
    [
      "a tenant that cannot be",
      [...aws, `fluo.kms.tenants.ACME.provider-key=${arn}`],
      /^fluo\.kms\.tenants\.ACME\.provider-key: is unknown/,
    ],
    [
      "a setting that no provider has",
      [...aws, ...bank, "fluo.kms.provider-keys.bank.vault.adr=x"],
      /^fluo\.kms\.provider-keys\.bank\.vault\.adr: is unknown/,
    ],
    [
      "a fingerprint of the store's key, which is under none of these",
      [
        ...aws,
        "fluo.kms.provider-keys.a.provider=azure",
        `fluo.kms.provider-keys.a.azure.store-key-fingerprint=${"0".repeat(64)}`,
      ],
      /^fluo\.kms\.provider-keys\.a\.azure\.store-key-fingerprint: is unknown/,
    ],
    [
      "a provider key without a provider",
      [...aws, ...bank.slice(1)],
      /^fluo\.kms\.provider-keys\.bank\.provider: is missing/,
    ],
    [
      "a value that its setting refuses",
      [...aws, ...bank, "fluo.kms.provider-keys.bank.vault.addr=ftp://x"],
      /^fluo\.kms\.provider-keys\.bank\.vault\.addr: must be a URL/,
    ],
    [
      "a master key in memory",
      [...aws, "fluo.kms.provider-keys.dev.provider=local"],
      /^fluo\.kms\.provider-keys\.dev\.local\.master-key-file: is missing/,
    ],
    [
      "a key file in production",
      [
        ...aws,
        "fluo.kms.profile=prod",
        "fluo.kms.issuer=x",
        "fluo.kms.provider-keys.dev.provider=local",
        "fluo.kms.provider-keys.dev.local.master-key-file=k",
      ],
      /^fluo\.kms\.provider-keys\.dev\.provider: local is for development/,
    ],
    [
      "keys in the clear in production",
      [
        ...aws,
        "fluo.kms.profile=prod",
        "fluo.kms.issuer=x",
        ...bank,
        "fluo.kms.provider-keys.bank.vault.addr=http://vault.bank.example",
      ],
      /^fluo\.kms\.provider-keys\.bank\.vault\.addr: http:\/\/vault\.bank\.example is not https/,
    ],
  ] as const)("%s", (_what, lines, problem) => {
    const env = lines.some((line) => line === vault[0]) ? vaultToken : {};
    expect(problems([...lines], env)).toEqual(expect.arrayContaining([expect.stringMatching(problem)]));
  });

  it("a tenant in a variable, which could be several", () => {
    expect(problems(aws, { FLUO_KMS_TENANTS_ACME_PROVIDER_KEY: arn })).toEqual([
      expect.stringMatching(/^FLUO_KMS_TENANTS_ACME_PROVIDER_KEY: is a variable/),
    ]);
  });
});
