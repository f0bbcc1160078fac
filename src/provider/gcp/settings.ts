/** Settings of the provider for Google Cloud KMS. */

export interface GcpSettings {
  name: "gcp";
  /** `gcp.kms.key`: projects/P/locations/L/keyRings/R/cryptoKeys/K */
  key: string;
  /** `gcp.kms.endpoint`: URL instead of Google's own. */
  endpoint: string | undefined;
  /** `gcp.kms.credentials-file`: absolute path; application default credentials unless given. */
  credentialsFile: string | undefined;
}
