/** Providers that do not answer, deny, or lie. */
import { type AwsKmsFake, type AwsKmsFaults, startAwsKms } from "../../fakes/aws-kms.ts";
import { fromNow } from "../../support/from-now.ts";
import { credentialFiles, type Site } from "../site.ts";
import { bringTenant } from "./availability.ts";
import { type Cause, ofSites } from "./cause.ts";

const value = new Uint8Array(8);
const unreachable = { name: "KmsProviderUnreachable", labels: { severity: "critical" } };
const expires = (of: string) => ({ name: "KmsCertificateExpires", labels: { of } });

/** Second Region, with a replica of the first one's key. */
interface SecondRegion {
  fake: AwsKmsFake;
  /** Variables of a service that uses both Regions. */
  env: Record<string, string>;
}
const regions = ofSites(({ fake }: SecondRegion) => fake.close());

async function addRegion(site: Site): Promise<void> {
  const fake = await startAwsKms({ region: "eu-west-1" });
  const key = site.kms.createKey({ multiRegion: true });
  const replica = fake.createKey({ replicaOf: key });
  const failover = `${fake.region}=${replica.arn}@${fake.url}`;
  regions.put(site, { fake, env: { AWS_KMS_MASTER_KEY_ID: key.arn, AWS_KMS_FAILOVER: failover } });
}

/** Writes a revocation list that is valid for so many seconds. */
function writeRevocationList(site: Site, validForSeconds: number): void {
  const nextUpdate = fromNow(validForSeconds * 1_000);
  site.write({ "callers.crl": site.authorities.callers.crl([], { nextUpdate }) });
}

function gone(name: string, faults: AwsKmsFaults, call?: Cause["call"]): Cause {
  return {
    name,
    ...(call && { call }),
    begin: ({ site }) => site.kms.fault(faults),
    fires: [unreachable],
    pages: ["KmsProviderUnreachable"],
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
    pages: ["KmsProviderKeyDenied"],
    silent: [unreachable],
    restarted: "gone",
    end: ({ site }) => site.kms.deny(() => false),
  },
  {
    name: "provider-lies",
    call: (service, turn) => service.client.encryptPii({ tenantId: `tenant-${turn}`, fields: [{ name: "a", value }] }),
    begin: ({ site }) => site.kms.fault({ lie: "zero-key" }),
    fires: [{ name: "KmsProviderUntrusted" }, { name: "KmsProviderKeyDenied" }],
    pages: ["KmsProviderUntrusted"],
    silent: [unreachable],
    restarted: "gone",
    end: ({ site }) => site.kms.heal(),
  },
  {
    name: "first-region-gone",
    prepare: ({ site }) => addRegion(site),
    start: (_, site) => ({ env: regions.of(site).env }),
    call: bringTenant,
    begin: ({ site }) => site.kms.fault({ mode: "refused" }),
    fires: [{ name: "KmsProviderUnreachable", labels: { severity: "warning", serves: "elsewhere" } }],
    pages: "any",
    silent: [unreachable, { name: "KmsNotReady" }],
    end: ({ site }) => site.kms.heal(),
    tidy: regions.ended,
  },
  {
    // Whoever renews the credential and the revocation list does so no more.
    name: "credential-ends",
    site: { whole: true },
    prepare({ site }) {
      site.write(credentialFiles(site.dir, 100));
      writeRevocationList(site, 86_400);
    },
    begin: ({ site }) => writeRevocationList(site, 20),
    fires: [expires("provider_credential"), expires("crl")],
    pages: ["KmsCertificateExpires"],
    restarted: "gone",
    end({ site }) {
      site.write(credentialFiles(site.dir, 3_600));
      writeRevocationList(site, 86_400);
    },
  },
];
