/** Settings of the provider for HashiCorp Vault and OpenBao. */

export type VaultLogin =
  /** Exactly one. A file is read at each login: Vault Agent's sink is rewritten. */
  | { method: "token"; token: string | undefined; tokenFile: string | undefined }
  /** At most one of the secret ids: a role may do without. */
  | { method: "approle"; mount: string; roleId: string; secretId: string | undefined; secretIdFile: string | undefined }
  /** `tokenFile` is the service account's token, read at each login. */
  | { method: "kubernetes"; mount: string; role: string; tokenFile: string };

export interface VaultSettings {
  name: "vault";
  /** `vault.addr`, as in https://vault.example.com:8200 */
  addr: string;
  namespace: string | undefined;
  /** PEM, `vault.cacert`: absolute path. */
  caFile: string | undefined;
  /** `vault.transit.mount`, "transit" by default. */
  mount: string;
  /** `vault.transit.key` */
  key: string;
  login: VaultLogin;
}
