/**
 * What reading a transit key says of it.
 * https://developer.hashicorp.com/vault/api-docs/secret/transit#read-key
 */
import { invalidField, type KmsError } from "../../errors.ts";
import type { VaultKeyName } from "./paths.ts";
import { isCount, unreadable, type VaultData } from "./response.ts";

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
