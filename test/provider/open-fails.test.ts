/** Where a start fails, no token of Vault is left behind: the service is started again and again. */
import { basename } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { openProviders } from "../../src/provider/open.ts";
import type { VaultLogin } from "../../src/provider/vault/settings.ts";
import { startServer } from "../../src/server.ts";
import { realTime } from "../../src/runtime/time.ts";
import { type FakeVault, startFakeVault } from "../fakes/vault.ts";
import { thrownBy } from "../support/matchers.ts";

const ids = { roleId: "role", secretId: "secret" };
const login: VaultLogin = { method: "approle", mount: "approle", ...ids, secretIdFile: undefined };

let vault: FakeVault;
beforeEach(async () => {
  vault = await startFakeVault();
});
afterEach(() => vault.close());

it("leaves none where the other provider cannot be opened", async () => {
  const [provider, otherProvider] = [vault.settings(login), vault.settings(login, { key: "none" })];
  expect(await thrownBy(() => openProviders({ provider, otherProvider }, { time: realTime }))).toBeKmsError(
    "PROVIDER_DENIED",
  );
  expect(vault.tokens.size).toBe(0);
});

it("leaves none where the two are one key", async () => {
  const [provider, otherProvider] = [vault.settings(login), vault.settings(login)];
  const error = await thrownBy(() => openProviders({ provider, otherProvider }, { time: realTime }));
  expect(error).toBeKmsError("INVALID_ARGUMENT", "has the same name");
  expect(vault.tokens.size).toBe(0);
});

it("leaves none where the store cannot be opened", async () => {
  const env = {
    FLUO_KMS_PROVIDER: "vault",
    VAULT_ADDR: vault.addr,
    VAULT_TRANSIT_KEY: "fluo",
    VAULT_AUTH: "approle",
    VAULT_APPROLE_ROLE_ID: "role",
    VAULT_APPROLE_SECRET_ID: "secret",
    FLUO_KMS_SQLITE_FILE: `${basename(import.meta.filename)}/kms.db`, // which is no directory
    FLUO_KMS_LOG_LEVEL: "silent",
  };
  expect(await thrownBy(() => startServer(loadConfig({ env, cwd: import.meta.dirname })))).toBeInstanceOf(Error);
  expect(vault.count("auth/approle/login")).toBe(1);
  expect(vault.tokens.size).toBe(0);
});
