/**
 * The whole service with its master key in local-kms, in OpenBao and in fakes of Key Vault and Cloud KMS, as no others are to be had, and
 * moved from the one to the other while it serves.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../support/cli-fixture.ts";
import { type AzureKeyVaultFake, startAzureKeyVault } from "../fakes/azure-key-vault.ts";
import { type GcpKmsFake, startGcpKms } from "../fakes/gcp-kms.ts";
import { azureEnvironment } from "../support/azure-fixture.ts";
import { noCredentials } from "../support/gcp-fixture.ts";
import { startProcess } from "../support/service-process.ts";
import { firstOfEach, isShort, whole } from "../support/short.ts";
import {
  checkEvidence,
  type Evidence,
  liveThrough,
  type Peer,
  type ServiceEnv,
  underPolicy,
} from "../support/whole-service.ts";
import { type LocalKms, startLocalKms } from "./local-kms.ts";
import { type OpenBao, startOpenBao } from "./openbao.ts";

const key = { id: "bc436485-5092-42b8-92a3-0aa8b93536dc", materials: [randomBytes(32).toString("hex")] };
const credentials = { AWS_ACCESS_KEY_ID: "AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY: "secret" };

let kms: LocalKms;
let bao: OpenBao;
let google: GcpKmsFake;
let keyVault: AzureKeyVaultFake;
/** Settings of each provider, by their names without a prefix. */
let providers: Record<"aws" | "azure" | "gcp" | "vault" | "local", ServiceEnv>;

beforeAll(async () => {
  [kms, bao, google, keyVault] = await Promise.all([
    startLocalKms("eu-west-1", [{ ...key, alias: "alias/fluo-kms" }]),
    startOpenBao(),
    startGcpKms(),
    startAzureKeyVault(),
  ]);
  keyVault.createKey("fluo-kms", { type: "RSA-HSM", bits: 3072 });
  keyVault.createKey("fluo-kms-aes", { type: "oct-HSM" });
  await bao.call("POST", "sys/mounts/transit", { type: "transit" });
  await bao.call("POST", "transit/keys/fluo-kms", {});
  const policy = [
    'path "transit/encrypt/fluo-kms" { capabilities = ["update"] }',
    'path "transit/decrypt/fluo-kms" { capabilities = ["update"] }',
    'path "transit/keys/fluo-kms" { capabilities = ["read"] }',
  ].join("\n");
  await bao.call("POST", "sys/policies/acl/fluo-kms", { policy });
  const VAULT_TOKEN = await bao.token("fluo-kms");
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-file-")), "master.key");
  providers = {
    aws: { AWS_KMS_MASTER_KEY_ID: "alias/fluo-kms", AWS_KMS_REGION: "eu-west-1", AWS_KMS_ENDPOINT: kms.url },
    azure: {
      AZURE_KEY_VAULT_KEY: `${keyVault.url}/keys/fluo-kms`,
      AZURE_CACERT: keyVault.caFile,
      AZURE_INSTANCE_DISCOVERY: "false",
      AZURE_VERIFY_CHALLENGE_RESOURCE: "false",
    },
    gcp: { GCP_KMS_KEY: google.createKey().name, GCP_KMS_ENDPOINT: google.url },
    vault: { VAULT_ADDR: bao.addr, VAULT_TOKEN, VAULT_TRANSIT_KEY: "fluo-kms" },
    local: { LOCAL_MASTER_KEY_FILE: file },
  };
});
afterAll(() => Promise.all([kms?.close(), bao?.close(), google?.close(), keyVault?.close()]));

type Name = keyof typeof providers;

/** local-kms crashes on some bytes that are no blob of its own, where AWS says so. */
const peers: Partial<Record<Name, Peer>> = { aws: { crashesOn: ["refuse_other_key"] } };

function storeEnv(): ServiceEnv {
  return {
    ...credentials,
    ...azureEnvironment(keyVault),
    ...noCredentials,
    GCE_METADATA_HOST: google.host,
    FLUO_KMS_SQLITE_FILE: join(mkdtempSync(join(tmpdir(), "fluo-kms-whole-")), "kms.db"),
  };
}

/** A provider's settings as the first, or as the other one. */
function settings(name: Name, place: "first" | "other" = "first"): ServiceEnv {
  const prefix = place === "first" ? "" : "FLUO_KMS_OTHER_";
  const own = place === "first" && name === "local" ? "FLUO_KMS_" : prefix;
  const named = Object.entries(providers[name]).map(([setting, value]) => [own + setting, value]);
  return { [place === "first" ? "FLUO_KMS_PROVIDER" : "FLUO_KMS_OTHER_PROVIDER"]: name, ...Object.fromEntries(named) };
}

describe("the whole service", () => {
  it.each(firstOfEach<Name>(["aws", "azure", "gcp", "vault"]))("lives through a restart on %s", async (name) => {
    await liveThrough({ ...storeEnv(), ...settings(name) }, peers[name]);
  });

  whole.each<Name>(["local", "aws", "vault"])("lives through a restart on %s under a policy", async (name) => {
    await liveThrough({ ...storeEnv(), ...settings(name) }, peers[name], underPolicy());
  });

  whole("lives through a restart on an AES key in azure", async () => {
    await liveThrough({
      ...storeEnv(),
      ...settings("azure"),
      AZURE_KEY_VAULT_KEY: `${keyVault.url}/keys/fluo-kms-aes`,
    });
  });

  /** As docs/REWRAP.md has it, for one replica: the new key beside the old one, then before it, then the command, then alone. */
  async function move(store: ServiceEnv, evidence: Evidence, from: Name, to: Name): Promise<void> {
    const both = await startProcess({ ...store, ...settings(from), ...settings(to, "other") });
    await checkEvidence(both.client, evidence);
    expect(await both.end()).toBe(0);

    const env = { ...store, ...settings(to), ...settings(from, "other") };
    const swapped = await startProcess(env);
    await checkEvidence(swapped.client, evidence);
    const moved = await run(["rewrap", "--address", swapped.http, "--json"]);
    expect(moved).toMatchObject({ code: 0 });
    expect(JSON.parse(moved.out)).toMatchObject({ remaining: 0, failed: [] });
    await checkEvidence(swapped.client, evidence);
    expect(await swapped.end()).toBe(0);

    const alone = await startProcess({ ...store, ...settings(to) });
    await checkEvidence(alone.client, evidence);
    const { keys } = await alone.client.admin.listKeys({ tenantId: evidence.tenantId });
    expect(new Set(keys.map(({ provider }) => provider))).toEqual(new Set([to]));
    expect(await alone.end()).toBe(0);
    expect(await run(["check"], { env: { ...store, ...settings(to) } })).toMatchObject({ code: 0 });
  }

  it("moves from a key file to AWS KMS, from there to Vault, to Google Cloud KMS, to Azure, back, and to the file again, and everything opens", async () => {
    const store = storeEnv();
    const evidence = await liveThrough({ ...store, ...settings("local") });
    const round: Name[] = ["local", "aws", "vault", "gcp", "azure", "aws", "local"];
    const way = isShort ? round.slice(0, 2) : round;
    for (const [index, to] of way.slice(1).entries()) await move(store, evidence, way[index]!, to);
  });

  it("does not start where the master key is another provider's, and says whose it is", async () => {
    const store = storeEnv();
    await liveThrough({ ...store, ...settings("aws") }, peers.aws);
    const { code, err } = await run([], {
      env: { ...store, ...settings("vault"), FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" },
    });
    expect(code).toBe(1);
    expect(err).toMatch(
      /the store is under aws arn:aws:kms:eu-west-1:111122223333:key\/\S+, and the provider is vault transit\/keys\/fluo-kms/,
    );
  });
});
