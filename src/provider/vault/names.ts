/** How a key is named: to Vault by paths, to an operator by commands. Names are checked, so that a path never leads elsewhere. */
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

/** OpenBao's command is `bao`, with the same words. */
export function command({ namespace }: Pick<VaultKeyName, "namespace">, verb: string, rest: string): string {
  return `vault ${verb}${namespace === undefined ? "" : ` -namespace=${namespace}`} ${rest}`;
}

/** The policy that the service needs, and no more, in one line: `create` on encrypt would make a new key where the old one was deleted. */
export function policyAdvice(name: VaultKeyName): string {
  const { encrypt, decrypt, keys } = pathsOf(name);
  const policy = [
    `path "${encrypt}" { capabilities = ["update"] }`,
    `path "${decrypt}" { capabilities = ["update"] }`,
    `path "${keys}" { capabilities = ["read"] }`,
  ];
  const write = command(name, "policy write", "fluo-kms -");
  return `Give the token a policy with these lines, and no others for the key: echo '${policy.join(" ")}' | ${write}`;
}

export function missingKeyAdvice(name: VaultKeyName): string {
  const make = command(name, "write", `-f ${pathsOf(name).keys}`);
  const restore = command(name, "write", `${name.mount}/restore/${name.key} backup=@FILE`);
  return `Before the first start make the key: ${make}; later restore it: ${restore}, as a new key opens nothing that the old one wrapped.`;
}

export function restoreAdvice(name: VaultKeyName): string {
  return `Restore the key: ${command(name, "write", `-f ${pathsOf(name).keys}/soft-delete-restore`)}.`;
}
