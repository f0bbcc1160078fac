/** Services of tests, which leave no keys behind. */
import { placesOfKeys } from "../../src/config/data-directory.ts";
import { environmentName } from "../../src/config/sources.ts";

/** Environment of a service whose keys are in memory, unless `env` says where they are. */
export function inMemory(env: Readonly<Record<string, string>>): Record<string, string> {
  const isSaid = placesOfKeys.some((name) => env[environmentName(name)] !== undefined);
  return isSaid ? { ...env } : { FLUO_KMS_STORE: "memory", ...env };
}
