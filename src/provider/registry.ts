/**
 * The providers by name. Each is imported when it is chosen, so that the SDKs of the others cost nothing.
 * A new provider is a file with its settings type and an `open…`, a member of the union and a line in the table.
 */
import { invalidField } from "../errors.ts";
import type { AwsSettings } from "./aws.ts";
import type { AzureSettings } from "./azure.ts";
import type { GcpSettings } from "./gcp.ts";
import type { LocalSettings } from "./local.ts";
import type { Provider } from "./provider.ts";
import type { VaultSettings } from "./vault.ts";

export type ProviderSettings = AwsSettings | AzureSettings | GcpSettings | LocalSettings | VaultSettings;

/** One provider for each place that serves the same key, in order of preference: a cloud's regions. Most have one. */
export type Places = readonly [Provider, ...Provider[]];

type Openers = {
  [Name in ProviderSettings["name"]]: (settings: Extract<ProviderSettings, { name: Name }>) => Promise<Places>;
};

const openers: Openers = {
  local: async (settings) => [await (await import("./local.ts")).openLocal(settings)],
  aws: async (settings) => (await import("./aws.ts")).openAws(settings),
  azure: async (settings) => [await (await import("./azure.ts")).openAzure(settings)],
  gcp: async (settings) => [await (await import("./gcp.ts")).openGcp(settings)],
  vault: async (settings) => [await (await import("./vault.ts")).openVault(settings)],
};

export const providerNames: readonly string[] = Object.keys(openers);

/** Opens the provider that `settings.name` names. Throws INVALID_ARGUMENT for settings that cannot be used. */
export async function openProvider(settings: ProviderSettings): Promise<Places> {
  if (!Object.hasOwn(openers, settings.name)) {
    throw invalidField("fluo.kms.provider", `must be one of ${providerNames.join(", ")}, not ${settings.name}`);
  }
  const open = openers[settings.name] as (settings: ProviderSettings) => Promise<Places>;
  return open(settings);
}
