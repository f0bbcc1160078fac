/**
 * What an operator can do about what Vault or OpenBao says, with the very command or policy. Never sent to a caller.
 */
import { pathsOf, type VaultKeyName } from "./paths.ts";

/** OpenBao's command is `bao`, with the same words. */
export function command({ namespace }: Pick<VaultKeyName, "namespace">, verb: string, rest: string): string {
  return `vault ${verb}${namespace === undefined ? "" : ` -namespace=${namespace}`} ${rest}`;
}

/**
 * The policy that the service needs, and no more, in one line: `create` on encrypt would make a new key where the old
 * one was deleted.
 */
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

export function trustCertificate(code: string): string {
  return `Give the PEM file of the CA that signed Vault's certificate in vault.cacert, and in vault.addr a name that the certificate holds (${code}).`;
}
