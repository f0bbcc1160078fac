/** Settings of the local provider. */

export interface LocalSettings {
  name: "local";
  /** `fluo.kms.local.master-key-file`; without it the key is random and lives in memory only. */
  masterKeyFile?: string;
  /** Whether the group of that file, if it is one of the process's, may have rights to it. */
  groupReadable?: boolean;
}
