/** The azure provider by its contract and by what it sends, on the real SDKs and a fake of Key Vault. What Azure refuses: azure-answers.test.ts. */
import { describe } from "vitest";
import { dependable } from "../../src/provider/failover.ts";
import { providerContract } from "../provider-contract.ts";
import { canServe, openOn, startFake } from "./azure-fixture.ts";

describe.skipIf(!canServe)("on a fake of Key Vault", () => {
  for (const type of ["RSA-HSM", "oct-HSM"] as const) {
    providerContract(`azure with a key of type ${type}`, async () => {
      const vault = await startFake();
      vault.createKey("fluo", { type });
      vault.createKey("other", { type });
      return { provider: await openOn(vault, "fluo"), other: await openOn(vault, "other") };
    });

    providerContract(`azure with a key of type ${type} behind the resilience layer`, async () => {
      const vault = await startFake();
      const open = async (name: string) => {
        vault.createKey(name, { type });
        return dependable([await openOn(vault, name)]);
      };
      return { provider: await open("fluo"), other: await open("other") };
    });
  }
});
