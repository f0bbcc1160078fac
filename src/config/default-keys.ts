/**
 * Where keys are without any setting for them: a master key and a store, made at the first start in a directory of their own. Any of the settings
 * below ends that, so that nobody who has a key or a store is moved to another.
 */
import { existsSync } from "node:fs";
import { type DataDirectory, isDataDirectory } from "../store/directory/layout.ts";
import type { SettledConfig } from "./config.ts";
import type { SettingName } from "./known-settings.ts";
import type { Problem } from "./problem.ts";

export const placesOfKeys = [
  "fluo.kms.provider",
  "fluo.kms.store",
  "fluo.kms.sqlite.file",
  "fluo.kms.local.master-key-file",
] as const satisfies readonly SettingName[];

/** The settings that a service has by its data directory. */
export function settingsFor({ database, masterKey }: DataDirectory) {
  return { "fluo.kms.local.master-key-file": masterKey, "fluo.kms.sqlite.file": database };
}

/** Refuses to begin a new store, in the place that is the default with a provider, beside keys in a data directory: theirs would be missed. */
export function leftBehind(
  { store, dataDirectory }: Pick<SettledConfig, "store" | "dataDirectory">,
  { directory, database, masterKey }: DataDirectory,
): Problem[] {
  if (dataDirectory !== undefined || store.name !== "sqlite" || existsSync(store.file)) return [];
  if (!isDataDirectory(directory)) return [];
  return [
    {
      name: "fluo.kms.sqlite.file",
      description: `is not set, and there is no ${store.file}, but keys are in ${database}, under ${masterKey}; set it to ${database} to go on with them, or to ${store.file} for a new store`,
    },
  ];
}
