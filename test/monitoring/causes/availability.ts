/** Services that are gone, not ready, slow or failing. */
import { plainSpan } from "../../support/api-fixture.ts";
import { fromNow } from "../../support/from-now.ts";
import type { Service } from "../site.ts";
import type { Cause } from "./cause.ts";

const value = Buffer.from("ann@example.com");

/** Needs the tenant's key, which is in memory but at first, and an audit row. */
export function encrypt({ client }: Service): Promise<unknown> {
  return client.encryptPii({ tenantId: "acme", fields: [{ name: "email", value }] }, soon());
}

/** Has a key made, for which store and provider are needed. */
export function bringTenant({ client }: Service, turn: number): Promise<unknown> {
  return client.signSpan({ tenantId: `tenant-${process.pid}-${turn}`, span: plainSpan }, soon());
}

function soon() {
  return { deadline: fromNow(15_000) };
}

const burns = ["fast", "slow", "budget"];
const serverFaults = burns.map((burn) => ({ name: "KmsServerFaults", labels: { burn } }));
const slow = burns.map((burn) => ({ name: "KmsSlow", labels: { burn } }));

export const availability: readonly Cause[] = [
  {
    name: "store-gone",
    store: "postgres",
    call: encrypt,
    begin: ({ roads }) => roads[0]!.block(),
    fires: [{ name: "KmsNotReady" }, { name: "KmsReplicaNotReady" }, { name: "KmsAuditFails" }, ...serverFaults],
    pages: ["KmsAuditFails"],
    restarted: "gone",
    end: ({ roads }) => roads[0]!.open(),
    // The faults stay in windows of minutes.
    linger: serverFaults.slice(1),
  },
  {
    name: "store-gone-for-one",
    store: "postgres",
    replicas: 2,
    begin: ({ roads }) => roads[1]!.block(),
    fires: [{ name: "KmsReplicaNotReady" }],
    silent: [{ name: "KmsNotReady" }, { name: "KmsGone" }, { name: "KmsScrapeFails" }],
    restarted: "never",
    end: ({ roads }) => roads[1]!.open(),
  },
  {
    name: "killed",
    begin: ({ services }) => services[0]!.end("SIGKILL"),
    fires: [{ name: "KmsGone" }, { name: "KmsScrapeFails" }],
    pages: ["KmsGone"],
    // Prometheus cannot miss what it never saw.
    late: [{ name: "KmsScrapeFails" }],
    restarted: "never",
    end: ({ restart }) => restart(0),
  },
  {
    name: "restarts",
    keepsAddress: true,
    async begin({ restart, lookedAtNew }) {
      for (let restarts = 0; restarts < 4; restarts += 1) {
        await restart(0);
        await lookedAtNew(0);
      }
    },
    fires: [{ name: "KmsRestarts" }],
    // A Prometheus that sees one start knows of no other.
    late: [],
    restarted: "never",
  },
  {
    name: "scrape-token-expired",
    site: { whole: true },
    begin: ({ site }) =>
      site.write({ "policy.yaml": site.policy.replace(/(name: scraper, sha256: .*expires: )2099/, "$12020") }),
    fires: [{ name: "KmsScrapeFails" }, { name: "KmsGone" }],
    pages: ["KmsGone"],
    late: [{ name: "KmsScrapeFails" }],
    end: ({ site }) => site.write({ "policy.yaml": site.policy }),
  },
  {
    name: "provider-slow",
    call: bringTenant,
    begin: ({ site }) => site.kms.fault({ latencyMs: 500 }),
    // Each call needs a key that is in no memory.
    fires: [...slow, { name: "KmsCacheHitRateLow" }],
    pages: ["KmsSlow"],
    silent: [{ name: "KmsProviderUnreachable" }],
    end: ({ site }) => site.kms.heal(),
    linger: [...slow, { name: "KmsCacheHitRateLow" }],
  },
];
