/** Fakes of Azure Key Vault, and providers on them. */
import { afterAll, beforeAll, vi } from "vitest";
import { openAzure } from "../../src/provider/azure/open.ts";
import type { AzureSettings } from "../../src/provider/azure/settings.ts";
import { clientId, clientSecret, tenant } from "../fakes/azure-authority.ts";
import { type AzureKeyVaultFake, startAzureKeyVault } from "../fakes/azure-key-vault.ts";
import type { FakeKeyOptions } from "../fakes/azure-key-vault-keys.ts";
import { canMakeCertificate } from "../fakes/certificate.ts";
import { realTime } from "../../src/runtime/time.ts";

export const context = { tenant_id: "acme", purpose: "data" };

/** Where openssl is missing there is no TLS server, and Azure is spoken to by TLS alone; continuous integration must have it. */
export const canServe = canMakeCertificate() || process.env.CI !== undefined;

/** What the SDK's default chain finds in a process that asks this fake, and nothing of the machine's own. */
export function azureEnvironment({ url }: Pick<AzureKeyVaultFake, "url">): Record<string, string> {
  return {
    AZURE_TENANT_ID: tenant,
    AZURE_CLIENT_ID: clientId,
    AZURE_CLIENT_SECRET: clientSecret,
    AZURE_AUTHORITY_HOST: url,
    AZURE_TOKEN_CREDENTIALS: "EnvironmentCredential",
  };
}

export function useCredentials(vault: Pick<AzureKeyVaultFake, "url">): void {
  withoutCredentials();
  for (const [name, value] of Object.entries(azureEnvironment(vault))) vi.stubEnv(name, value);
}

export function withoutCredentials(): void {
  for (const name of Object.keys(process.env).filter((each) => /^(AZURE_|IDENTITY_|MSI_|HTTPS?_PROXY)/i.test(each))) {
    vi.stubEnv(name, undefined);
  }
}

beforeAll(withoutCredentials);

const fakes: AzureKeyVaultFake[] = [];

afterAll(async () => {
  vi.unstubAllEnvs();
  await Promise.all(fakes.splice(0).map((vault) => vault.close()));
});

/** A fake for the file it is called in, whose credentials are those of the environment from now on. */
export async function startFake(): Promise<AzureKeyVaultFake> {
  const vault = await startAzureKeyVault();
  fakes.push(vault);
  useCredentials(vault);
  return vault;
}

export function settingsFor(vault: AzureKeyVaultFake, name: string, other: Partial<AzureSettings> = {}): AzureSettings {
  return {
    name: "azure",
    key: `${vault.url}/keys/${name}`,
    caFile: vault.caFile,
    instanceDiscovery: false,
    verifyChallengeResource: false,
    ...other,
  };
}

export function openOn(vault: AzureKeyVaultFake, name: string, other?: Partial<AzureSettings>) {
  return openAzure(settingsFor(vault, name, other), realTime);
}

/** A provider on a fake of its own. */
export async function openedOnFake(options: FakeKeyOptions = {}) {
  const vault = await startFake();
  const key = vault.createKey("fluo", options);
  return { vault, key, provider: await openOn(vault, "fluo") };
}
