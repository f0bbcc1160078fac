/** Providers that do not answer, deny, or lie. */
import type { AwsKmsFaults } from "../../fakes/aws-kms.ts";
import { credentialFiles } from "../site.ts";
import { bringTenant } from "./availability.ts";
import type { Cause } from "./cause.ts";

const value = new Uint8Array(8);
const unreachable = { name: "KmsProviderUnreachable" };

function gone(name: string, faults: AwsKmsFaults, call?: Cause["call"]): Cause {
  return {
    ...{ name, ...(call && { call }) },
    begin: ({ site }) => site.kms.fault(faults),
    fires: [unreachable],
    silent: [{ name: "KmsProviderKeyDenied" }, { name: "KmsNotReady" }],
    restarted: "gone",
    end: ({ site }) => site.kms.heal(),
  };
}

export const providers: readonly Cause[] = [
  gone("provider-hangs", { mode: "hanging" }, bringTenant),
  gone("provider-answers-503", { mode: "503" }, bringTenant),
  // Nobody calls it, so its breaker stays closed.
  gone("provider-refuses", { mode: "refused" }),
  {
    name: "provider-denies",
    call: bringTenant,
    begin: ({ site }) => site.kms.deny(() => true),
    fires: [{ name: "KmsProviderKeyDenied" }, { name: "KmsNotReady" }],
    silent: [unreachable],
    restarted: "gone",
    end: ({ site }) => site.kms.deny(() => false),
  },
  {
    name: "provider-lies",
    call: (service, turn) => service.client.encryptPii({ tenantId: `tenant-${turn}`, fields: [{ name: "a", value }] }),
    begin: ({ site }) => site.kms.fault({ lie: "zero-key" }),
    fires: [{ name: "KmsProviderUntrusted" }, { name: "KmsProviderKeyDenied" }],
    silent: [unreachable],
    restarted: "gone",
    end: ({ site }) => site.kms.heal(),
  },
  {
    // Whoever renews it does so no more.
    name: "credential-ends",
    site: { whole: true },
    prepare: ({ site }) => site.write(credentialFiles(site.dir, 100)),
    begin: () => {},
    fires: [{ name: "KmsCertificateExpires", labels: { of: "provider_credential" } }],
    restarted: "gone",
    end: ({ site }) => site.write(credentialFiles(site.dir, 3_600)),
  },
];
