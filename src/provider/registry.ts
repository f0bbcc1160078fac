/**
 * The providers by name. Each is imported when it is chosen, so that the SDKs of the others cost nothing.
 * A new provider is a folder with `settings.ts` and `open.ts`, a member of the union and a line in the table.
 */
import { invalidField } from "../errors.ts";
import type { Time } from "../runtime/time.ts";
import type { AwsSettings } from "./aws/settings.ts";
import type { AzureSettings } from "./azure/settings.ts";
import type { GcpSettings } from "./gcp/settings.ts";
import type { LocalSettings } from "./local/settings.ts";
import type { Regions } from "./provider.ts";
import type { VaultSettings } from "./vault/settings.ts";

export type ProviderSettings = AwsSettings | AzureSettings | GcpSettings | LocalSettings | VaultSettings;

type Openers = {
  [Name in ProviderSettings["name"]]: (
    settings: Extract<ProviderSettings, { name: Name }>,
    time: Time,
  ) => Promise<Regions>;
};

const openers: Openers = {
  local: async (settings) => [await (await import("./local/open.ts")).openLocal(settings)],
  aws: async (settings, time) => (await import("./aws/open.ts")).openAws(settings, time),
  azure: async (settings, time) => [await (await import("./azure/open.ts")).openAzure(settings, time)],
  gcp: async (settings, time) => [await (await import("./gcp/open.ts")).openGcp(settings, time)],
  vault: async (settings, time) => [await (await import("./vault/open.ts")).openVault(settings, time)],
};

export const providerNames: readonly string[] = Object.keys(openers);

/** Opens the provider that `settings.name` names. Throws INVALID_ARGUMENT for settings that cannot be used. */
export async function openProvider(settings: ProviderSettings, time: Time): Promise<Regions> {
  if (!Object.hasOwn(openers, settings.name)) {
    throw invalidField("fluo.kms.provider", `must be one of ${providerNames.join(", ")}, not ${settings.name}`);
  }
  const open = openers[settings.name] as (settings: ProviderSettings, time: Time) => Promise<Regions>;
  return open(settings, time);
}

/**
 * Where the name of the key counts: undefined where it is one key's in all the world, because the cloud itself says what its name is.
 * Anyone's server may say any name.
 */
export function realmOf(settings: ProviderSettings): string | undefined {
  switch (settings.name) {
    case "aws": {
      const servers = settings.places.flatMap(({ endpoint }) => serverOf(endpoint, /\.amazonaws\.com(\.cn)?$/) ?? []);
      return servers.length === 0 ? undefined : servers.join(" ");
    }
    case "azure":
      return settings.verifyChallengeResource ? undefined : serverOf(settings.key);
    case "gcp":
      return serverOf(settings.endpoint, /\.googleapis\.com$/);
    case "local":
      return undefined;
    case "vault":
      return serverOf(settings.addr);
  }
}

function serverOf(url: string | undefined, ofCloud?: RegExp): string | undefined {
  if (url === undefined) return undefined;
  const { protocol, hostname, origin } = URL.parse(url) ?? { protocol: "", hostname: "", origin: url };
  return protocol === "https:" && ofCloud?.test(hostname) ? undefined : origin;
}
