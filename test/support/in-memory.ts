/** Services of tests, which leave no keys behind. */
import { placesOfKeys } from "../../src/config/default-keys.ts";
import { environmentName } from "../../src/config/sources.ts";

/** Environment of a service whose keys are in memory, unless `env` says where they are. */
export function inMemory<Env extends object>(env: Env): Env {
  const isSaid = placesOfKeys.some((name) => Object.hasOwn(env, environmentName(name)));
  return isSaid ? env : { FLUO_KMS_STORE: "memory", ...env };
}
