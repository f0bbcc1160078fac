/** The whole service with its master key in each cloud and in Vault, as the fakes have them. The real peers' turn is in test/providers. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { startAwsKms } from "../fakes/aws-kms.ts";
import { startGcpKms } from "../fakes/gcp-kms.ts";
import { startFakeVault } from "../fakes/vault.ts";
import { awsEnvironment } from "../outage/service.ts";
import { liveThrough } from "../whole-service.ts";
import { noCredentials } from "./gcp-fixture.ts";

function storeEnv() {
  return { FLUO_KMS_SQLITE_FILE: join(mkdtempSync(join(tmpdir(), "fluo-kms-whole-")), "kms.db") };
}

it("lives through a restart on AWS KMS, by the quickstart's names for its settings", async () => {
  const kms = await startAwsKms({ region: "eu-west-1" });
  onTestFinished(() => kms.close());
  kms.alias("alias/fluo-kms", kms.createKey());
  await liveThrough({
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
  await liveThrough({
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

it("lives through a restart on Vault, by the names of Vault's own tools", async () => {
  const vault = await startFakeVault();
  onTestFinished(() => vault.close());
  await liveThrough({
    ...storeEnv(),
    FLUO_KMS_PROVIDER: "vault",
    VAULT_ADDR: vault.addr,
    VAULT_TOKEN: vault.token(),
    VAULT_TRANSIT_KEY: "fluo",
  });
  expect(vault.count("transit/decrypt/fluo")).toBeGreaterThan(0);
});
