/** Settings of the provider for Azure Key Vault and Managed HSM. */

export interface AzureSettings {
  name: "azure";
  /** Without a version, as in https://fluo.vault.azure.net/keys/fluo-kms: `azure.key-vault.key`. */
  key: string;
  /** PEM, `azure.cacert`: absolute path. */
  caFile: string | undefined;
  /** `azure.instance-discovery`: false in a cloud that is not connected to the public one. */
  instanceDiscovery: boolean;
  /** `azure.verify-challenge-resource`: false where the vault has a name that is private to a network. */
  verifyChallengeResource: boolean;
}
