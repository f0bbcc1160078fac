/**
 * What reading a transit key says of it, and what an operator should change.
 * https://developer.hashicorp.com/vault/api-docs/secret/transit#read-key
 */
import { invalidField, type KmsError } from "../../errors.ts";
import type { ProviderKeyState } from "../provider.ts";
import { isCount, unreadable, type VaultData } from "./response.ts";
import { command, policyAdvice, restoreAdvice } from "./advice.ts";
import { pathsOf, type VaultKeyName } from "./paths.ts";

export interface VaultKey {
  type: string;
  latestVersion: number;
  minDecryptionVersion: number;
  /** Version to its creation, as Vault spells both. */
  created: ReadonlyMap<string, string>;
  derived: boolean;
  softDeleted: boolean;
  exportable: boolean;
  plaintextBackup: boolean;
  deletionAllowed: boolean;
  /** Undefined where the server is too old to say; 0 is off. */
  autoRotateSeconds: number | undefined;
}

/** Those that authenticate associated data, with 256 bits. The last is OpenBao's. */
const types: readonly unknown[] = ["aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"];

export function vaultKey(data: VaultData): VaultKey {
  const { type, keys, latest_version: latestVersion, min_decryption_version: minDecryptionVersion } = data;
  if (typeof type !== "string" || !/^[a-z0-9-]{1,64}$/.test(type) || typeof keys !== "object" || keys === null)
    throw unreadable("the key's type and versions");
  if (!isCount(latestVersion) || latestVersion < 1 || !isCount(minDecryptionVersion))
    throw unreadable("the key's version");
  if (types.includes(type) && !areDated(keys)) throw unreadable("the dates of the key's versions");
  return {
    type,
    latestVersion,
    minDecryptionVersion,
    created: new Map(Object.entries(keys).map(([version, at]) => [version, JSON.stringify(at)])),
    derived: data.derived === true || data.convergent_encryption === true,
    softDeleted: data.soft_deleted === true,
    exportable: data.exportable === true,
    plaintextBackup: data.allow_plaintext_backup === true,
    deletionAllowed: data.deletion_allowed === true,
    autoRotateSeconds: isCount(data.auto_rotate_period) ? data.auto_rotate_period : undefined,
  };
}

/** Else another key would be seen in an answer that is not whole, and refused. Keys of other types have more to tell of a version. */
function areDated(keys: object): boolean {
  const versions = Object.entries(keys);
  return versions.length > 0 && versions.every(([version, at]) => /^\d+$/.test(version) && Number.isFinite(at));
}

/** INVALID_ARGUMENT for a key under which a context would not be authenticated; undefined for one that fits. */
export function unfit({ mount, key }: VaultKeyName, { type, derived }: VaultKey): KmsError | undefined {
  const path = `${mount}/keys/${key}`;
  if (!types.includes(type)) {
    return invalidField(
      "vault.transit.key",
      `${path} is of type ${type}, and must be aes256-gcm96 or chacha20-poly1305`,
    );
  }
  return derived
    ? invalidField("vault.transit.key", `${path} is derived or convergent, and must be neither`)
    : undefined;
}

/** False for another key of the same name: one that was made after the deletion of the other, by an encrypt say. */
export function isSameKey(known: VaultKey, seen: VaultKey): boolean {
  const common = [...seen.created].filter(([version]) => known.created.has(version));
  if (common.length === 0) return seen.latestVersion > known.latestVersion; // the older versions were trimmed away
  return common.every(([version, at]) => known.created.get(version) === at);
}

export function stateOf(key: VaultKey): Pick<ProviderKeyState, "state" | "detail"> {
  if (key.softDeleted) return { state: "disabled", detail: "deleted (soft_deleted)" };
  const oldest = key.minDecryptionVersion > 1 ? `, opens version ${key.minDecryptionVersion} and later` : "";
  return { state: "enabled", detail: `latest version ${key.latestVersion}${oldest}` };
}

export function rotationOf({ autoRotateSeconds }: VaultKey): string | undefined {
  if (autoRotateSeconds === undefined) return undefined;
  if (autoRotateSeconds === 0) return "off";
  const hours = Math.round(autoRotateSeconds / 3600);
  return hours % 24 === 0 ? `every ${hours / 24} days` : `every ${hours} hours`;
}

/** What the key itself gives away. */
export function keyAdvice(name: VaultKeyName, key: VaultKey): string[] {
  const path = `${name.mount}/keys/${name.key}`;
  const config = (setting: string) => command(name, "write", `${path}/config ${setting}`);
  return [
    ...(key.softDeleted ? [restoreAdvice(name)] : []),
    ...(key.exportable
      ? [
          `The key is exportable, so that it can leave Vault, for good: make another and rotate to it: ${another(name)}.`,
        ]
      : []),
    ...(key.plaintextBackup
      ? [`The key allows plaintext backups, for good: make another and rotate to it: ${another(name)}.`]
      : []),
    ...(key.deletionAllowed ? [`The key can be deleted: forbid it: ${config("deletion_allowed=false")}.`] : []),
    ...(key.autoRotateSeconds === 0
      ? [`The key is never rotated by itself: ${config("auto_rotate_period=720h")}.`]
      : []),
  ];
}

/** What the token may do, by `data` of sys/capabilities-self: too little, or so much that a deleted key would be made anew. */
export function capabilityAdvice(name: VaultKeyName, data: VaultData): string[] {
  const paths = pathsOf(name);
  const may = (path: string) => {
    const capabilities = Object.hasOwn(data, path) ? data[path] : undefined;
    return Array.isArray(capabilities) ? capabilities : [];
  };
  const policy = policyAdvice(name);
  const encrypt = may(paths.encrypt);
  if (encrypt.includes("root")) return [`The token is a root token. ${policy}`];
  const lacking = [
    ...(encrypt.includes("update") ? [] : [`update ${paths.encrypt}`]),
    ...(may(paths.decrypt).includes("update") ? [] : [`update ${paths.decrypt}`]),
    ...(may(paths.keys).includes("read") ? [] : [`read ${paths.keys}`]),
  ];
  return [
    ...(lacking.length > 0 ? [`The token may not ${lacking.join(", ")}. ${policy}`] : []),
    ...(encrypt.includes("create")
      ? [
          `The token has create on ${paths.encrypt}, so that an encrypt makes a new key where the key was deleted. ${policy}`,
        ]
      : []),
  ];
}

function another({ namespace, mount }: VaultKeyName): string {
  return command({ namespace }, "write", `-f ${mount}/keys/NAME`);
}
