/** The whole service with its master key in a file, and in each cloud and in Vault, as the fakes have them. The real peers' turn is in test/providers. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { startAwsKms } from "../fakes/aws-kms.ts";
import { startAzureKeyVault } from "../fakes/azure-key-vault.ts";
import { startGcpKms } from "../fakes/gcp-kms.ts";
import { startFakeVault } from "../fakes/vault.ts";
import { awsEnvironment } from "../outage/service.ts";
import { accesses, liveThrough, type ServiceEnv, startHere, withoutPolicy } from "../support/whole-service.ts";
import { azureEnvironment, canServe } from "../support/azure-fixture.ts";
import { noCredentials } from "../support/gcp-fixture.ts";

function storeEnv() {
  return { FLUO_KMS_SQLITE_FILE: join(mkdtempSync(join(tmpdir(), "fluo-kms-whole-")), "kms.db") };
}

const live = (env: ServiceEnv, access = withoutPolicy) => liveThrough(env, {}, access, startHere);

it.each(["none", "policy"] as const)(
  "lives through a restart on a master key in a file, with authentication %s",
  async (access) => {
    const FLUO_KMS_LOCAL_MASTER_KEY_FILE = join(mkdtempSync(join(tmpdir(), "fluo-kms-file-")), "master.key");
    await live({ ...storeEnv(), FLUO_KMS_LOCAL_MASTER_KEY_FILE }, accesses[access]());
  },
);

it("lives through a restart on AWS KMS, by the quickstart's names for its settings", async () => {
  const kms = await startAwsKms({ region: "eu-west-1" });
  onTestFinished(() => kms.close());
  kms.alias("alias/fluo-kms", kms.createKey());
  await live({
    ...awsEnvironment,
    ...storeEnv(),
    FLUO_KMS_PROVIDER: "aws",
    AWS_KMS_MASTER_KEY_ID: "alias/fluo-kms",
    AWS_KMS_REGION: kms.region,
    AWS_KMS_ENDPOINT: kms.url,
  });
  expect(kms.calls.Decrypt).toBeGreaterThan(0);
  expect(kms.decryptsWithoutKeyId).toBe(0);
});

it("lives through a restart on Google Cloud KMS, with the credentials of the metadata server", async () => {
  const kms = await startGcpKms();
  onTestFinished(() => kms.close());
  const key = kms.createKey();
  await live({
    ...noCredentials,
    ...storeEnv(),
    GCE_METADATA_HOST: kms.host,
    FLUO_KMS_PROVIDER: "gcp",
    GCP_KMS_KEY: key.name,
    GCP_KMS_ENDPOINT: kms.url,
  });
  expect(kms.count(/:decrypt$/)).toBeGreaterThan(0);
  expect(kms.count(/default\/token/)).toBe(2); // one a life
});

it.each(["none", "policy"] as const)(
  "lives through a restart on Vault, by the names of Vault's own tools, with authentication %s",
  async (access) => {
    const vault = await startFakeVault();
    onTestFinished(() => vault.close());
    const env = { VAULT_ADDR: vault.addr, VAULT_TOKEN: vault.token(), VAULT_TRANSIT_KEY: "fluo" };
    await live({ ...storeEnv(), ...env, FLUO_KMS_PROVIDER: "vault" }, accesses[access]());
    expect(vault.count("transit/decrypt/fluo")).toBeGreaterThan(0);
  },
);

it.skipIf(!canServe).each(["RSA-HSM", "oct-HSM"] as const)(
  "lives through a restart on Azure, with a key of type %s",
  async (type) => {
    const vault = await startAzureKeyVault();
    onTestFinished(() => vault.close());
    const key = vault.createKey("fluo-kms", { type });
    const env = {
      ...azureEnvironment(vault),
      ...storeEnv(),
      FLUO_KMS_PROVIDER: "azure",
      AZURE_KEY_VAULT_KEY: `${vault.url}/keys/fluo-kms`,
      AZURE_CACERT: vault.caFile,
      AZURE_INSTANCE_DISCOVERY: "false",
      AZURE_VERIFY_CHALLENGE_RESOURCE: "false",
    };
    await live(env);
    expect(vault.calls.unwrapkey).toBeGreaterThan(0);
    key.rotate();
    const { client, end } = await startHere(env, {});
    const { key: seen, recommendations } = await client.validate({});
    expect(seen).toMatchObject({
      provider: "azure",
      state: expect.stringContaining(key.current.id),
      rotation: "every 90 days",
    });
    expect(recommendations.some((each) => each.includes("azure.store-key-fingerprint="))).toBe(type === "RSA-HSM");
    expect(await end()).toBe(0);
  },
);
