/** Two provider keys of one name, which records could not tell apart: only one of them is used, and whose it was stays unharmed. */
import { describe, expect, it, onTestFinished } from "vitest";
import type { KmsError } from "../../src/errors.ts";
import { keyNames } from "../../src/provider-keys/names.ts";
import type { ProviderSettings } from "../../src/provider/registry.ts";
import { watchProvider } from "../../src/provider-keys/watch.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import { resilient } from "../../src/provider/resilience.ts";
import { startTenantProviderKeys } from "../../src/provider-keys/tenant-provider-keys.ts";
import { realTime } from "../../src/runtime/time.ts";
import { load, problemsOf } from "../support/config-fixture.ts";
import { thrownBy } from "../support/matchers.ts";

const vaultAt = (addr: string): ProviderSettings => ({
  name: "vault",
  addr,
  namespace: undefined,
  caFile: undefined,
  mount: "transit",
  key: "fluo",
  login: { method: "token", token: "t", tokenFile: undefined },
});
const azureAt = (vault: string, verifyChallengeResource = true): ProviderSettings => ({
  name: "azure",
  key: `https://${vault}/keys/fluo`,
  caFile: undefined,
  instanceDiscovery: true,
  verifyChallengeResource,
});
const awsAt = (endpoint: string | undefined): ProviderSettings => ({
  name: "aws",
  places: [{ region: "eu-west-1", masterKeyId: "alias/fluo", endpoint }],
  profile: undefined,
});
const gcpAt = (endpoint: string | undefined): ProviderSettings => ({
  name: "gcp",
  key: "projects/p/locations/l/keyRings/r/cryptoKeys/fluo",
  endpoint,
  credentialsFile: undefined,
});

const holder = (owner: string, settings: ProviderSettings, giveWay?: (why: unknown) => void) => ({
  owner,
  settings,
  key: { name: settings.name, keyId: "the name" },
  giveWay,
});

describe("a name", () => {
  it.each([
    ["two servers of Vault", vaultAt("https://one:8200"), vaultAt("https://two:8200")],
    ["an endpoint that is not AWS's, and AWS", awsAt(undefined), awsAt("https://kms.example.com")],
    ["an endpoint that is not Google's, and Google", gcpAt(undefined), gcpAt("https://kms.example.com")],
    ["a vault that may say any name, and Azure", azureAt("fluo.vault.azure.net"), azureAt("private", false)],
  ])("is given once, of %s to the first", (_what, one, other) => {
    const names = keyNames([]);
    const giveBack = names.take(holder("one", one, () => {}));
    return Promise.all([
      expect(() => names.take(holder("other", other, () => {}))).toThrow("the same name as one at another place"),
    ]).then(() => {
      giveBack();
      names.take(holder("other", other, () => {}));
    });
  });

  it.each([
    ["one Vault", vaultAt("https://one:8200"), vaultAt("https://one:8200/")],
    ["AWS and its endpoints", awsAt(undefined), awsAt("https://vpce-1.kms.eu-west-1.vpce.amazonaws.com")],
    ["Google and its endpoints", gcpAt(undefined), gcpAt("https://cloudkms-fluo.p.googleapis.com")],
    ["Azure", azureAt("fluo.vault.azure.net"), azureAt("fluo.vault.azure.net")],
  ])("is one key's at %s, whoever uses it", (_what, one, other) => {
    const names = keyNames([holder("the service's own", one)]);
    expect(() => names.take(holder("other", other, () => {}))).not.toThrow();
  });

  it("stays with a key that is opened anew at another place", () => {
    const names = keyNames([]);
    const lost: unknown[] = [];
    names.take(holder("one", vaultAt("https://one:8200"), (why) => lost.push(why)));
    expect(() => names.take(holder("one", vaultAt("https://two:8200"), () => {}))).not.toThrow();
    expect(lost).toEqual([]);
  });

  it("is taken from who may say any name by whom the cloud answers for, but from the service never", async () => {
    const lost: unknown[] = [];
    const names = keyNames([]);
    names.take(holder("liar", azureAt("private", false), (why) => lost.push(why)));
    names.take(holder("owner", azureAt("fluo.vault.azure.net"), () => {}));
    expect(lost).toHaveLength(1);
    expect(lost[0]).toBeKmsError("INVALID_ARGUMENT", "the same name");
    const own = keyNames([holder("the service's own", azureAt("private", false))]);
    const error = await thrownBy(() => own.take(holder("other", azureAt("fluo.vault.azure.net"), () => {})));
    expect(error).toMatchObject({ advice: expect.stringContaining("azure the name alone") });
  });
});

it("keeps a tenant's keys from another's server, and from what its refusals do, where the keys have one name", async () => {
  const ends: string[] = [];
  const key = localProvider(randomMasterKey());
  const providerKeys = new Map([
    ["owner", vaultAt("https://owner:8200")],
    ["other", vaultAt("https://other:8200")],
  ]);
  const opened: string[] = [];
  const failed: unknown[] = [];
  const keys = await startTenantProviderKeys({
    settings: { providerKeys, tenants: new Map([["t1", "owner"]]) },
    own: [],
    open: async (settings) =>
      resilient(
        { ...key, name: "vault", close: async () => void ends.push((settings as { addr: string }).addr) },
        { time: realTime },
      ),
    watch: (provider) => watchProvider({ provider, time: realTime }),
    time: realTime,
    opened: (name) => opened.push(name),
    failed: (name, error) => failed.push([name, error]),
    ended() {},
  });
  onTestFinished(() => keys.close());
  expect(opened).toEqual(["owner"]);
  expect(failed).toEqual([["other", expect.objectContaining({ code: "INVALID_ARGUMENT" })]]);
  expect(ends).toEqual(["https://other:8200"]);
  expect(keys.notOpen()).toEqual(["other"]);
  expect(keys.find({ provider: "vault", providerKeyId: key.keyId })).toBe(keys.ofTenant("t1"));
  await keys.replace({ providerKeys, tenants: new Map([["t2", "other"]]) });
  const refused = (await thrownBy(() => keys.ofTenant("t2"))) as KmsError;
  expect(refused).toBeKmsError("PROVIDER_DENIED", "the provider key of tenant t2, other, is not open");
  expect(refused.advice).toContain("the same name as one at another");
});

describe("the configuration", () => {
  const own = ["fluo.kms.provider=vault", "vault.addr=https://vault:8200", "vault.token=t", "vault.transit.key=fluo"];
  const declared = (name: string, addr: string, mount = "transit") => [
    `fluo.kms.provider-keys.${name}.provider=vault`,
    `fluo.kms.provider-keys.${name}.vault.addr=${addr}`,
    `fluo.kms.provider-keys.${name}.vault.token=t`,
    `fluo.kms.provider-keys.${name}.vault.transit.mount=${mount}`,
    `fluo.kms.provider-keys.${name}.vault.transit.key=fluo`,
  ];

  it.each([
    ["another tenant's", declared("a", "https://a:8200", "a"), declared("b", "https://b:8200", "a"), "provider key a"],
    ["the service's own", [], declared("b", "https://b:8200"), "the service's own"],
  ])("may not have a key of the name of %s", (_whose, one, other, who) => {
    const said = problemsOf(() => load({}, [...own, ...one, ...other].join("\n")));
    expect(said).toContain(`fluo.kms.provider-keys.b: its key has the same name as one at another place, ${who}: `);
  });

  it("is refused in one go where more is missing", () => {
    const bare = (name: string) => [`fluo.kms.provider-keys.${name}.provider=vault`];
    const said = problemsOf(() => load({}, [...own, ...bare("a"), ...bare("b")].join("\n")));
    expect(said).toContain("fluo.kms.provider-keys.b.vault.addr: is missing");
  });

  it("may have a key twice, and others", () => {
    const lines = [...own, ...declared("a", "https://vault:8200"), ...declared("b", "https://b:8200", "b")];
    expect(load({}, lines.join("\n")).tenantProviderKeys.providerKeys.size).toBe(2);
  });
});
