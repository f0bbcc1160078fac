/** The local provider passes the provider contract; its key file is made once, kept, and refused where it is unsafe. */
import { createSecretKey, randomBytes } from "node:crypto";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { localProvider } from "../../../src/provider/local/open.ts";
import { randomMasterKey } from "../../../src/provider/local/master-key.ts";
import { openProvider, type ProviderSettings } from "../../../src/provider/registry.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { thrownBy } from "../../support/matchers.ts";
import { providerContract } from "../../support/provider-contract.ts";

providerContract("local", async () => ({
  provider: localProvider(randomMasterKey()),
  other: localProvider(randomMasterKey()),
}));

describe("the local provider's key id", () => {
  it("is the same for the same master key, and says nothing of it", () => {
    const bytes = randomBytes(32);
    const { keyId } = localProvider(createSecretKey(bytes));
    expect(keyId).toMatch(/^local:[0-9a-f]{16}$/);
    expect(localProvider(createSecretKey(bytes)).keyId).toBe(keyId);
    expect(bytes.toString("hex")).not.toContain(keyId.slice("local:".length));
  });
});

describe("the local provider's key file", () => {
  let directory: string;
  let masterKeyFile: string;
  const open = async () => (await openProvider({ name: "local", masterKeyFile }, realTime))[0];
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "fluo-kms-"));
    masterKeyFile = join(directory, "master.key");
  });
  afterEach(() => rm(directory, { recursive: true }));

  it("is created for its owner alone, without leftovers", async () => {
    await open();
    expect((await stat(masterKeyFile)).mode & 0o777).toBe(0o600);
    expect(await readFile(masterKeyFile)).toHaveLength(32);
    expect(await readdir(directory)).toEqual(["master.key"]);
  });

  it("opens after a restart what was wrapped before", async () => {
    const before = await open();
    const { plaintext, wrapped } = await before.generateDataKey({ a: "1" });
    const after = await open();
    expect(after.keyId).toBe(before.keyId);
    expect(Buffer.compare(await after.decrypt(wrapped, { a: "1" }), plaintext)).toBe(0);
  });

  it("is one file with one key for any number of processes that start at once", async () => {
    const providers = await Promise.all(Array.from({ length: 8 }, open));
    expect(new Set(providers.map(({ keyId }) => keyId)).size).toBe(1);
    expect(await readdir(directory)).toEqual(["master.key"]);
  });

  it("is refused when others can read it, and left as it is", async () => {
    const bytes = randomBytes(32);
    await writeFile(masterKeyFile, bytes);
    for (const mode of [0o644, 0o640, 0o604]) {
      await chmod(masterKeyFile, mode);
      const error = await thrownBy(open);
      expect(error).toBeKmsError("INVALID_ARGUMENT", `chmod 600 ${masterKeyFile}`);
      expect(error).toBeKmsError("INVALID_ARGUMENT", "fluo.kms.local.master-key-file");
    }
    expect(Buffer.compare(await readFile(masterKeyFile), bytes)).toBe(0);
  });

  it.each([0, 31, 33])("is refused with %i bytes", async (bytes) => {
    await writeFile(masterKeyFile, randomBytes(bytes), { mode: 0o600 });
    expect(await thrownBy(open)).toBeKmsError("INVALID_ARGUMENT", `${masterKeyFile} must hold exactly 32 raw bytes`);
  });

  it("is refused by name where it cannot be made or read", async () => {
    masterKeyFile = join(directory, "missing", "master.key");
    expect(await thrownBy(open)).toBeKmsError("INVALID_ARGUMENT", `${masterKeyFile} cannot be used (ENOENT)`);
    masterKeyFile = directory;
    expect(await thrownBy(open)).toBeKmsError("INVALID_ARGUMENT", directory);
  });
});

describe("the registry", () => {
  it("opens a local provider under a random key each time", async () => {
    const [[a], [b]] = [
      await openProvider({ name: "local" }, realTime),
      await openProvider({ name: "local" }, realTime),
    ];
    expect(a.name).toBe("local");
    expect(a.keyId).not.toBe(b.keyId);
  });

  it.each(["nothing", "constructor", ""])("refuses the name %j", async (name) => {
    const settings = { name } as unknown as ProviderSettings;
    expect(await thrownBy(() => openProvider(settings, realTime))).toBeKmsError(
      "INVALID_ARGUMENT",
      "fluo.kms.provider",
    );
  });
});
