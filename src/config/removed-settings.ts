/** Settings of earlier releases that are constants now. A start warns of one that is still set; release 0.3 will call it unknown. */
import { type Notice, notice } from "../notices.ts";
import { namesIn, type Properties } from "./properties.ts";
import { type Environment, environmentName } from "./sources.ts";

/** What holds instead, by the setting's name. */
export const removedSettings: Readonly<Record<string, string>> = {
  "fluo.kms.connection.first-call": "it is 30s",
  "fluo.kms.connection.resets": "it is 200",
  "fluo.kms.connection.header-work": "it is 1s",
  "fluo.kms.http.bodies": "it is 32MiB",
  "fluo.kms.jwks.max-stale": "it is 24h",
  "kms.cache.public-ttl": "it is 24h",
  "kms.cost.charged": "it is cryptographic with provider gcp, and all with any other",
};

/** Warns of each that the environment or the file sets for `profile`. */
export function removedWarnings(env: Environment, properties: Properties | undefined, profile: string): Notice[] {
  const inFile = new Set([...(properties === undefined ? [] : namesIn(properties, profile))].map(({ name }) => name));
  return Object.entries(removedSettings).flatMap(([name, holds]) => {
    const variable = environmentName(name);
    const isSet = inFile.has(name) || (env[variable]?.trim() ?? "") !== "";
    return isSet ? [notice("SETTING_IGNORED", `${name} is no setting any more: ${holds}. Take it out.`, name)] : [];
  });
}
