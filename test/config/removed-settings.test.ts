/** Settings that are constants now: a start warns of one that is still set, and goes on. */
import { describe, expect, it } from "vitest";
import { allSettings } from "../../src/config/known-settings.ts";
import { removedSettings } from "../../src/config/removed-settings.ts";
import { environmentName } from "../../src/config/sources.ts";
import { load } from "../support/config-fixture.ts";

const inMemory = { FLUO_KMS_STORE: "memory" };
const removed = Object.entries(removedSettings);
const warning = (name: string, holds: string) => `${name} is no setting any more: ${holds}. Take it out.`;
const warned = (env: Record<string, string>, properties?: string) =>
  load({ ...inMemory, ...env }, properties).warnings.filter((text) => /no setting/.test(text));

describe.each(removed)("%s", (name, holds) => {
  it("is warned of by name, in the environment and in the file, whatever its value", () => {
    expect(warned({ [environmentName(name)]: "anything" })).toEqual([warning(name, holds)]);
    expect(warned({}, `${name}=anything`)).toEqual([warning(name, holds)]);
    expect(warned({ [environmentName(name)]: "1" }, `${name}=2`)).toEqual([warning(name, holds)]);
  });

  it("is a setting no longer", () => {
    expect(Object.keys(allSettings)).not.toContain(name);
  });
});

it("are not warned of where they are empty, or set for another profile", () => {
  expect(warned({ FLUO_KMS_CONNECTION_RESETS: " " })).toEqual([]);
  expect(warned({}, "%staging.fluo.kms.connection.resets=9")).toEqual([]);
});

it("are nobody's suggestion", () => {
  expect(warned({ FLUO_KMS_CONNECTION_RESET: "9" })).toEqual([
    expect.not.stringContaining("did you mean FLUO_KMS_CONNECTION_RESETS"),
  ]);
});

it("leaves the cost of looks to the provider: Google's are free", () => {
  const gcp = { FLUO_KMS_PROVIDER: "gcp", GCP_KMS_KEY: "projects/p/locations/l/keyRings/r/cryptoKeys/k" };
  expect(load(gcp).cost.charged).toBe("cryptographic");
  expect(load(inMemory).cost.charged).toBe("all");
});
