/**
 * What an operator can do about what Azure says, with the very command of the Azure CLI. Never sent to a caller.
 * Commands: learn.microsoft.com/cli/azure/keyvault/key, learn.microsoft.com/cli/azure/role/assignment
 */
import type { AzureKeyName } from "./key.ts";

interface Key extends Pick<AzureKeyName, "keyId"> {
  /** Where it is about one, and not about the current one. */
  version?: string | undefined;
}

/** What a role must allow. */
export type DataAction = "read" | "wrap" | "unwrap" | "readRotation";

/** learn.microsoft.com/azure/role-based-access-control/permissions/security#microsoftkeyvault */
const vaultActions: Readonly<Record<DataAction, string>> = {
  read: "vaults/keys/read",
  wrap: "vaults/keys/wrap/action",
  unwrap: "vaults/keys/unwrap/action",
  readRotation: "vaults/keyrotationpolicies/read",
};

export function enable(key: Key): string {
  return `Enable the key: az keyvault key set-attributes --id ${idOf(key)} --enabled true`;
}

export function permitOperations(key: Key): string {
  return `Let the key wrap and unwrap: az keyvault key set-attributes --id ${idOf(key)} --ops wrapKey unwrapKey`;
}

export function wait(key: Key): string {
  return `The key is not valid yet; see from when, or set another time: az keyvault key show --id ${idOf(key)} --query attributes.notBefore, az keyvault key set-attributes --id ${idOf(key)} --not-before "$(date -u +%Y-%m-%dT%H:%M:%SZ)"`;
}

export function renew(key: Key): string {
  return `The key's current version has expired: it opens what it wrapped, and wraps no more. Make a new version: az keyvault key rotate --id ${key.keyId}`;
}

export function renewInTime(key: Key, expiresOn: Date): string {
  return `The key's current version expires on ${expiresOn.toISOString()}, and wraps no more from then on; make a new version before, or have one made by a rotation policy: az keyvault key rotate --id ${key.keyId}`;
}

export function look(key: Key): string {
  return `See what the key is, and in what state: az keyvault key show --id ${idOf(key)}`;
}

export function find(key: Key): string {
  const { target, name } = parts(key);
  return `Check azure.key-vault.key (${key.keyId}). If the key was deleted, bring it back: az keyvault key list-deleted ${target}, az keyvault key recover ${target} --name ${name}`;
}

export function recover(key: Key): string {
  const { target, name, isHsm, vault } = parts(key);
  return `The key, or its vault, was deleted; bring it back before it is purged: az keyvault key recover ${target} --name ${name}, az keyvault recover ${isHsm ? "--hsm-name" : "--name"} ${vault}`;
}

export function replaced(key: Key): string {
  return `The versions that wrapped before are gone: the key was purged and another made under its name. Restore it from its backup into a vault of the same subscription: az keyvault key restore ${parts(key).target} --file BACKUP. ${look(key)}`;
}

/**
 * A role on this key alone. Managed HSM has roles of its own, and a command for them
 * (learn.microsoft.com/azure/key-vault/managed-hsm/built-in-roles), which names none that reads rotation policies alone.
 */
export function allow(key: Key, action: DataAction): string {
  const { target, name, isHsm, vault } = parts(key);
  const assignee = "--assignee-object-id OBJECT-ID --assignee-principal-type ServicePrincipal";
  if (isHsm && action === "readRotation") {
    return `This service may not read the key's rotation policy; whoever may sees it by: az keyvault key rotation-policy show --id ${key.keyId}`;
  }
  if (isHsm) {
    return `Give this service's identity the data action Microsoft.KeyVault/managedHsm/keys/${action}/action: az keyvault role assignment create ${target} --role "Managed HSM Crypto Service Encryption User" ${assignee} --scope /keys/${name}`;
  }
  const role = action === "readRotation" ? "Key Vault Reader" : "Key Vault Crypto Service Encryption User";
  const permissions = `get wrapKey unwrapKey${action === "readRotation" ? " getrotationpolicy" : ""}`;
  return `Give this service's identity the data action Microsoft.KeyVault/${vaultActions[action]}: az role assignment create --role "${role}" ${assignee} --scope "$(az keyvault show --name ${vault} --query id -o tsv)/keys/${name}"; for a vault with access policies: az keyvault set-policy --name ${vault} --object-id OBJECT-ID --key-permissions ${permissions}`;
}

export function openNetwork(key: Key): string {
  const { vault, isHsm } = parts(key);
  const option = `${isHsm ? "--hsm-name" : "--name"} ${vault}`;
  return `The firewall does not let this service in: use the private endpoint, or let its address in: az keyvault network-rule list ${option}, az keyvault network-rule add ${option} --ip-address ADDRESS`;
}

export function giveCredentials(): string {
  return "The credentials are those of the Azure SDK's default chain: AZURE_TENANT_ID with AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, a workload identity (AZURE_FEDERATED_TOKEN_FILE), a managed identity, az login. AZURE_TENANT_ID must be the vault's tenant. Try them: az account get-access-token --resource https://vault.azure.net";
}

/** For a cloud without the public directory of clouds, whose own authority is not in it. */
export function nameAuthority(): string {
  return 'The authority is that of AZURE_AUTHORITY_HOST (https://login.microsoftonline.com unless set); in a cloud that is not connected to the public one also set azure.instance-discovery=false. See the authorities that az knows: az cloud list --query "[].endpoints.activeDirectory"';
}

export function trustChallenge(key: Key): string {
  return `The vault asks for a token for another domain than the one in azure.key-vault.key (${key.keyId}). Use the vault's own name; only where that name is private to your network: azure.verify-challenge-resource=false. The own name: az keyvault show --name NAME --query properties.vaultUri`;
}

export function trustCertificate(code: string): string {
  return `Give the PEM file of the CA that signed the certificate in azure.cacert, and the vault's own name in azure.key-vault.key (${code}). Where HTTPS_PROXY names a proxy, give that file in NODE_EXTRA_CA_CERTS instead. See the certificate: openssl s_client -connect HOST:443 -showcerts`;
}

export function findVault(key: Key): string {
  const { vault, isHsm, host } = parts(key);
  const list = isHsm ? "--resource-type hsm" : "--resource-type vault";
  return `The name ${host} is not known here: see to DNS and the private endpoint's zone. If the vault was deleted, bring it back: az keyvault list-deleted ${list}, az keyvault recover ${isHsm ? "--hsm-name" : "--name"} ${vault}`;
}

export function spread(): string {
  return "The vault throttles its callers (learn.microsoft.com/azure/key-vault/general/service-limits): lengthen kms.cache.ttl, or give this service a vault of its own. See who calls: az monitor metrics list --resource VAULT-ID --metrics ServiceApiHit";
}

/** Every 90 days, and each version with two years to live. */
export function rotate(key: Key): string {
  const policy = `{"lifetimeActions":[{"trigger":{"timeAfterCreate":"P90D"},"action":{"type":"Rotate"}}],"attributes":{"expiryTime":"P2Y"}}`;
  return `The key is never rotated by itself: echo '${policy}' > policy.json && az keyvault key rotation-policy update --id ${key.keyId} --value policy.json`;
}

export function protectFromPurge(key: Key): string {
  const { vault, isHsm } = parts(key);
  return isHsm
    ? `The HSM has no purge protection, so that a deleted key can be purged at once: az keyvault update-hsm --hsm-name ${vault} --enable-purge-protection true`
    : `The vault has no purge protection, so that a deleted key can be purged at once: az keyvault update --name ${vault} --enable-purge-protection true`;
}

/** An HSM's key needs a vault of the premium tier. */
export function makeStronger(key: Key, what: string): string {
  const { target, isHsm } = parts(key);
  const kind = isHsm ? "oct-HSM --size 256" : "RSA-HSM --size 3072";
  return `The key is ${what}: make a stronger one, az keyvault key create ${target} --name NEW-NAME --kty ${kind} --ops wrapKey unwrapKey, and re-wrap (docs/REWRAP.md)`;
}

export function makeUnexportable(key: Key): string {
  return `The key can be exported, for good: make another without, and re-wrap (docs/REWRAP.md). See its release policy: az keyvault key show --id ${key.keyId} --query releasePolicy`;
}

function idOf({ keyId, version }: Key): string {
  return version === undefined ? keyId : `${keyId}/${version}`;
}

interface Parts {
  host: string;
  vault: string;
  isHsm: boolean;
  /** Options that name the vault. */
  target: string;
  name: string;
}

/** Managed HSM's hosts: learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#dns-suffixes-for-object-identifiers */
function parts({ keyId }: Key): Parts {
  const { hostname, pathname } = new URL(keyId);
  const [vault = ""] = hostname.split(".", 1);
  const isHsm = /\.managedhsm\./.test(hostname);
  return {
    host: hostname,
    vault,
    isHsm,
    target: `${isHsm ? "--hsm-name" : "--vault-name"} ${vault}`,
    name: pathname.slice("/keys/".length),
  };
}
