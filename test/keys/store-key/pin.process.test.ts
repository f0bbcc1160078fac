/**
 * A store that somebody else made, under a store key of their own choice that they wrapped with the vault's public key, in the place of
 * the right one: refused by the pin wherever a store is unlocked, and warned of where there is none.
 */
import { constants, createPublicKey, type KeyObject, publicEncrypt, randomBytes } from "node:crypto";
import { copyFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { wholeKeyring } from "../../support/whole-keyring.ts";
import { providerKeys } from "../../../src/provider-keys/provider-keys.ts";
import { unlockStore } from "../../../src/keys/store-key/unlock.ts";
import { secretBytes, sealWrapped } from "../../../src/provider/azure/wrapped.ts";
import { localProvider } from "../../../src/provider/local/open.ts";
import { randomMasterKey } from "../../../src/provider/local/master-key.ts";
import type { Provider } from "../../../src/provider/provider.ts";
import { openStore } from "../../../src/store/registry.ts";
import { run } from "../../support/cli-fixture.ts";
import { type AzureKeyVaultFake, type FakeVaultKey, startAzureKeyVault } from "../../fakes/azure-key-vault.ts";
import { thrownBy } from "../../support/matchers.ts";
import { azureEnvironment, canServe } from "../../support/azure-fixture.ts";
import { startProcess } from "../../support/service-process.ts";
import { realTime } from "../../../src/runtime/time.ts";

/** Wraps as azure does, with nothing but the public key; and opens what it wrapped, as whoever wraps may remember. */
function attacker(keyId: string, { current }: FakeVaultKey): Provider {
  const publicKey: KeyObject = createPublicKey(current.publicKey!.export({ type: "spki", format: "pem" }));
  const bound = localProvider(randomMasterKey());
  const known = new Map<string, Uint8Array>();
  const encrypt: Provider["encrypt"] = async (plaintext, context) => {
    const secret = randomBytes(secretBytes);
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const wrappedKey = publicEncrypt({ key: publicKey, padding, oaepHash: "sha256" }, secret);
    const wrapped = sealWrapped({
      algorithm: "RSA-OAEP-256",
      version: current.id,
      wrappedKey,
      secret,
      plaintext,
      context,
    });
    known.set(Buffer.from(wrapped).toString("hex"), await bound.encrypt(plaintext, context));
    return wrapped;
  };
  return {
    ...bound,
    name: "azure",
    keyId,
    encrypt,
    async generateDataKey(context) {
      const plaintext = randomBytes(32);
      return { plaintext, wrapped: await encrypt(plaintext, context) };
    },
    decrypt: (wrapped, context) => bound.decrypt(known.get(Buffer.from(wrapped).toString("hex"))!, context),
  };
}

/** A whole store, every row of it authenticated under the attacker's store key. */
async function forge(file: string, vault: AzureKeyVaultFake, key: FakeVaultKey): Promise<void> {
  const provider = attacker(`${vault.url}/keys/fluo-kms`, key);
  const store = await unlockStore(
    await openStore({ name: "sqlite", file }, realTime),
    providerKeys({ current: provider }),
    realTime,
  );
  const keyring = wholeKeyring({ time: realTime, store, provider });
  await keyring.activeDataKey("acme");
  await keyring.activeSigningKey("acme");
  keyring.close();
  await store.close();
}

async function setUp() {
  const vault = await startAzureKeyVault();
  onTestFinished(() => vault.close());
  const key = vault.createKey("fluo-kms", { type: "RSA-HSM", bits: 3072 });
  const directory = mkdtempSync(join(tmpdir(), "fluo-kms-pin-"));
  const file = join(directory, "kms.db");
  const ports = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
  const azure = {
    AZURE_KEY_VAULT_KEY: `${vault.url}/keys/fluo-kms`,
    AZURE_CACERT: vault.caFile,
    AZURE_INSTANCE_DISCOVERY: "false",
    AZURE_VERIFY_CHALLENGE_RESOURCE: "false",
  };
  const env = {
    ...azureEnvironment(vault),
    ...ports,
    ...azure,
    FLUO_KMS_PROVIDER: "azure",
    FLUO_KMS_SQLITE_FILE: file,
  };
  return { vault, key, directory, file, azure, env };
}

const settingLine = /azure\.store-key-fingerprint=([0-9a-f]{64})/;

/** What the service says to set, at the first start and in Validate. */
async function firstLife(env: Record<string, string>): Promise<string> {
  const { client, log, said, end } = await startProcess(env);
  const [, pin] = settingLine.exec(await said(settingLine))!;
  const { recommendations } = await client.validate({});
  expect(recommendations).toContainEqual(expect.stringContaining(`azure.store-key-fingerprint=${pin}`));
  expect(log.filter((line) => settingLine.test(line))).toHaveLength(1);
  await client.generateDataKey({ tenantId: "acme" });
  expect(await end()).toBe(0);
  return pin!;
}

describe.skipIf(!canServe)("a store under an RSA key in Azure", () => {
  it("is opened with its pin, and then nothing is warned of", async () => {
    const { env, azure } = await setUp();
    const pin = await firstLife(env);
    const { client, log, end } = await startProcess({ ...env, AZURE_STORE_KEY_FINGERPRINT: pin });
    const { recommendations } = await client.validate({});
    expect([...log, ...recommendations].join("\n")).not.toContain("azure.store-key-fingerprint");
    expect(await end()).toBe(0);
    expect(azure).toBeDefined();
    expect((await run(["check"], { env: { ...env, AZURE_STORE_KEY_FINGERPRINT: pin } })).code).toBe(0);
  });

  it("that an attacker made whole is refused by the pin at every door, and is believed without, with a warning", async () => {
    const { vault, key, directory, file, env, azure } = await setUp();
    const pin = await firstLife(env);
    const forged = join(directory, "forged.db");
    await forge(forged, vault, key);
    const backup = join(directory, "backup.db");
    const into = { ...env, FLUO_KMS_SQLITE_FILE: forged };
    expect((await run(["backup", backup], { env: into })).code).toBe(0);
    const withPin = { ...into, AZURE_STORE_KEY_FINGERPRINT: pin };

    const refused = /the store key is not the one that azure\.store-key-fingerprint names/;
    const start = await run([], { env: withPin });
    expect(start).toMatchObject({ code: 1, err: expect.stringMatching(refused) });
    expect(start.err).toContain("put back the right one, from a backup");
    expect(await run(["check"], { env: withPin })).toMatchObject({ code: 1, err: expect.stringMatching(refused) });
    const empty = { ...withPin, FLUO_KMS_SQLITE_FILE: join(directory, "empty.db") };
    expect(await run(["restore", backup], { env: empty })).toMatchObject({
      code: 1,
      err: expect.stringMatching(refused),
    });

    // As the second provider key too, whichever of the two names the pin is written under.
    for (const name of ["AZURE_STORE_KEY_FINGERPRINT", "FLUO_KMS_OTHER_AZURE_STORE_KEY_FINGERPRINT"]) {
      const other = Object.fromEntries(Object.entries(azure).map(([each, value]) => [`FLUO_KMS_OTHER_${each}`, value]));
      const moving = {
        ...into,
        ...other,
        FLUO_KMS_PROVIDER: "local",
        FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(directory, "master.key"),
        FLUO_KMS_OTHER_PROVIDER: "azure",
        [name]: pin,
      };
      expect(await run([], { env: moving })).toMatchObject({ code: 1, err: expect.stringMatching(refused) });
    }

    const believed = await startProcess(into);
    expect(await believed.said(settingLine)).not.toContain(pin);
    await believed.client.generateDataKey({ tenantId: "acme" });
    expect(await believed.end()).toBe(0);
    expect((await run(["check"], { env: { ...withPin, FLUO_KMS_SQLITE_FILE: file } })).code).toBe(0);
  });

  it("whose store key alone was replaced is refused by the pin, and by its records without", async () => {
    const { vault, key, directory, file, env } = await setUp();
    const pin = await firstLife(env);
    const forged = join(directory, "forged.db");
    await forge(forged, vault, key);
    const swapped = join(directory, "swapped.db");
    copyFileSync(file, swapped);
    const [from, into] = [new DatabaseSync(forged), new DatabaseSync(swapped)];
    const [row] = from.prepare("SELECT * FROM kms_store").all() as Record<string, string>[];
    const names = Object.keys(row!);
    into.exec("DELETE FROM kms_store");
    into
      .prepare(`INSERT INTO kms_store (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
      .run(...Object.values(row!));
    from.close();
    into.close();
    const there = { ...env, FLUO_KMS_SQLITE_FILE: swapped };
    const start = await run([], { env: { ...there, AZURE_STORE_KEY_FINGERPRINT: pin } });
    expect(start).toMatchObject({ code: 1, err: expect.stringContaining("the store key is not the one") });
    expect((await run(["check"], { env: there })).code).toBe(1);
  });

  it("that has lost its key gets no new one where one is pinned", async () => {
    const { env, directory } = await setUp();
    const pin = await firstLife(env);
    const gone = { ...env, FLUO_KMS_SQLITE_FILE: join(directory, "new.db"), AZURE_STORE_KEY_FINGERPRINT: pin };
    const start = await run([], { env: gone });
    expect(start).toMatchObject({
      code: 1,
      err: expect.stringContaining("the store has no key, and azure.store-key-fingerprint names one"),
    });
    expect((await run(["check"], { env: gone })).err).toContain("has no store key yet");
  });
});

it("a pin is checked under a provider that only it can wrap for, too", async () => {
  const local = localProvider(randomMasterKey());
  const store = await openStore({ name: "memory" }, realTime);
  const advice: string[] = [];
  await unlockStore(store, providerKeys({ current: local }), realTime, (each) => advice.push(each));
  expect(advice).toEqual([]);
  await unlockStore(store, providerKeys({ current: { ...local, wrapsForAnyone: true } }), realTime, (each) =>
    advice.push(each),
  );
  const [, pin] = settingLine.exec(advice[0]!)!;
  await unlockStore(store, providerKeys({ current: local, storeKeyPin: pin }), realTime);
  const storeKeyPin = pin!.replace(/^./, (digit) => (digit === "0" ? "1" : "0"));
  const wrong = providerKeys({ current: local, storeKeyPin });
  const error = await thrownBy(() => unlockStore(store, wrong, realTime));
  expect(error).toBeKmsError("DATA_LOSS", "the store key is not the one that azure.store-key-fingerprint names");
  expect(String((error as Error).message)).not.toContain(pin);
});
