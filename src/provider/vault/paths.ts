/** How a key is named to Vault: by paths. Names are checked, so that a path never leads elsewhere. */
import { invalidField } from "../../errors.ts";
import type { VaultSettings } from "./settings.ts";

export type VaultKeyName = Pick<VaultSettings, "namespace" | "mount" | "key">;

const segments = /^(?!.*(^|\/)\.{1,2}(\/|$))[\w.-]+(\/[\w.-]+)*$/;
/** Vault's own rule for a name in a path. */
const keyName = /^\w(?:[\w.-]*\w)?$/;

export function checkNames({ mount, key, namespace, login }: VaultSettings): void {
  if (!keyName.test(key))
    throw invalidField("vault.transit.key", "must be letters and digits, with _ . - between them");
  const paths: [setting: string, value: string | undefined][] = [
    ["vault.transit.mount", mount],
    ["vault.namespace", namespace],
    [`vault.${login.method}.mount`, login.method === "token" ? undefined : login.mount],
  ];
  for (const [setting, value] of paths) {
    if (value === undefined || segments.test(value)) continue;
    throw invalidField(setting, "must be a path of letters, digits and _ . - without a slash at its ends");
  }
}

/** The paths that the service calls, as sys/capabilities-self takes them. */
export function pathsOf({ mount, key }: VaultKeyName): Record<"encrypt" | "decrypt" | "keys", string> {
  return { encrypt: `${mount}/encrypt/${key}`, decrypt: `${mount}/decrypt/${key}`, keys: `${mount}/keys/${key}` };
}
