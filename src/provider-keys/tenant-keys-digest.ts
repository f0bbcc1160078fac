/** The digest by which replicas show whether they use the same provider keys for the same tenants. */
import { hash } from "node:crypto";
import type { ProviderSettings } from "../provider/registry.ts";
import type { TenantProviderKeySettings } from "./settings.ts";

/**
 * Returns the SHA-256, in lower-case hex, of the settings in a canonical form: each provider key by its name, and each
 * tenant with the name of its key. The order in which they were read does not count. No secret goes in, as metrics
 * publish the digest: two replicas with different tokens for the same key have the same one.
 */
export function tenantKeysSha256({ providerKeys, tenants }: TenantProviderKeySettings): string {
  const keys = inOrder(providerKeys).map(([name, settings]) => [name, shownOf(settings)]);
  return hash("sha256", JSON.stringify({ keys, tenants: inOrder(tenants) }), "hex");
}

function inOrder<Value>(map: ReadonlyMap<string, Value>): [name: string, Value][] {
  return [...map].sort(([one], [other]) => (one < other ? -1 : 1));
}

type VaultLogin = Extract<ProviderSettings, { name: "vault" }>["login"];
type Shown = readonly (string | boolean | undefined | Shown)[];

/** Names each setting that goes in: one that is added to a provider later stays out, lest it be a secret. */
function shownOf(settings: ProviderSettings): Shown {
  switch (settings.name) {
    case "aws": {
      const places = settings.places.map(({ region, masterKeyId, endpoint }) => [region, masterKeyId, endpoint]);
      return ["aws", settings.profile, ...places];
    }
    case "azure": {
      const { key, caFile, instanceDiscovery, verifyChallengeResource } = settings;
      return ["azure", key, caFile, instanceDiscovery, verifyChallengeResource];
    }
    case "gcp":
      return ["gcp", settings.key, settings.endpoint, settings.credentialsFile];
    case "local":
      return ["local", settings.masterKeyFile];
    case "vault": {
      const { addr, namespace, caFile, mount, key, login } = settings;
      return ["vault", addr, namespace, caFile, mount, key, shownOfLogin(login)];
    }
  }
}

function shownOfLogin(login: VaultLogin): Shown {
  switch (login.method) {
    case "token":
      return ["token", login.tokenFile];
    case "approle":
      return ["approle", login.mount, login.secretIdFile];
    case "kubernetes":
      return ["kubernetes", login.mount, login.role, login.tokenFile];
  }
}
