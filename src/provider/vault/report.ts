/** What Vault tells of a key, in the words of the provider contract, and what an operator should change about it. */
import type { ProviderKeyState } from "../provider.ts";
import { command, policyAdvice, restoreAdvice } from "./advice.ts";
import type { VaultKey } from "./key.ts";
import { pathsOf, type VaultKeyName } from "./paths.ts";
import type { VaultData } from "./response.ts";

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

/**
 * What the token may do, by `data` of sys/capabilities-self: too little, or so much that a deleted key would be made
 * anew.
 */
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
