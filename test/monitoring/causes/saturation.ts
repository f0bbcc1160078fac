/** Resources that run out. */
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type SmallDisk, smallDisk, whyNoSmallDisk } from "../../faults/small-disk.ts";
import { fromNow } from "../../support/from-now.ts";
import { type GrpcClient, grpcClient } from "../../support/running-service.ts";
import type { Site } from "../site.ts";
import { bringTenant } from "./availability.ts";
import { type Cause, ofSites, type Scene } from "./cause.ts";

const saturated = (resource: string) => ({ name: "KmsSaturated", labels: { resource, severity: "warning" } });
const diskIsFull = { name: "KmsSaturated", labels: { resource: "disk", severity: "critical" } };

const clients = ofSites((all: GrpcClient[]) => all.map((client) => client.close()));

/** Connections that were called on, as strangers' are few; they stay open. */
async function connectOften({ site, services }: Scene): Promise<void> {
  const all = clients.put(site, []);
  for (let made = 0; made < 100; made += 10) {
    const more = Array.from({ length: 10 }, () => grpcClient(services[0]!.grpc));
    all.push(...more);
    await Promise.allSettled(more.map((client) => client.status({}, { deadline: fromNow(10_000) })));
  }
}

const stops = ofSites((stop: AbortController) => stop.abort());

/** A machine that gives the process a turn now and then, and calls without a break. */
function stall({ site, services }: Scene): void {
  const { signal } = stops.put(site, new AbortController());
  const { child, client } = services[0]!;
  const call = { tenantId: "stalled", fields: [{ name: "f", value: new Uint8Array(4 << 10) }] };
  void (async () => {
    while (!signal.aborted) await client.encryptPii(call).catch(() => delay(100));
  })();
  void (async () => {
    while (!signal.aborted) {
      child.kill("SIGSTOP");
      await delay(500);
      child.kill("SIGCONT");
      await delay(300);
    }
  })();
}

const largeCalls = 30;
const largeFields = Array.from({ length: 32 }, (_, n) => ({ name: `f${n}`, value: new Uint8Array(64 << 10) }));

/** Large calls of tenants that are new, for whose keys a slow provider is waited for; each that ends is followed by another. */
async function callLargely({ site, services }: Scene): Promise<void> {
  const { signal } = stops.put(site, new AbortController());
  await site.kms.fault({ latencyMs: 2_500 });
  for (let slot = 0; slot < largeCalls; slot += 1) {
    void (async () => {
      for (let turn = 0; !signal.aborted; turn += 1) {
        const call = { tenantId: `large-${slot}-${turn}`, fields: largeFields };
        await services[0]!.client.encryptPii(call).catch(() => delay(100));
      }
    })();
  }
}

const disks = ofSites((disk: SmallDisk) => disk.unmount());
const diskBytes = 64 << 20;
const others = "others";

/** Leaves a twenty-fifth of the disk. */
function fillMost({ site }: Scene): void {
  const { outside } = disks.of(site);
  const { bavail, bsize } = statfsSync(outside);
  writeFileSync(join(outside, others), Buffer.alloc(bavail * bsize - diskBytes / 25));
}

function freeMost(site: Site): void {
  rmSync(join(disks.of(site).outside, others));
}

/** A group of its own for each site, by the first version of control groups. */
const groups = ofSites((group: string) => rmdirSync(group));
const limitFile = "memory.limit_in_bytes";
const ownGroup = /:memory:(.*)/.exec(
  existsSync("/proc/self/cgroup") ? readFileSync("/proc/self/cgroup", "utf8") : "",
)?.[1];

function newGroup(name: string): string {
  const group = join("/sys/fs/cgroup/memory", ownGroup!, name);
  mkdirSync(group);
  return group;
}

/** The process has nearly all that it may have. */
function limitMemory({ site, services }: Scene): void {
  const status = readFileSync(`/proc/${services[0]!.child.pid}/status`, "utf8");
  const bytes = Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1_024;
  writeFileSync(join(groups.of(site), limitFile), String(Math.round(bytes * 1.08)));
}

export const saturation: readonly Cause[] = [
  {
    name: "machine-stalls",
    begin: stall,
    beginAgain: stall,
    fires: [saturated("event_loop")],
    pages: "any",
    end: ({ site }) => stops.ended(site),
    // The percentiles are of the last half minute.
    linger: [saturated("event_loop")],
    tidy: stops.ended,
  },
  {
    // Each call takes a connection for many ways to the database and back, and there is one connection.
    name: "pool-exhausted",
    store: "postgres",
    start: () => ({ env: { FLUO_KMS_POSTGRES_MAX_CONNECTIONS: "1" } }),
    call: bringTenant,
    begin: ({ roads }) => roads[0]!.slow(50),
    fires: [saturated("postgres_connections")],
    pages: "any",
    restarted: "never",
    // What is under way must not arrive behind what follows.
    end({ roads }) {
      roads[0]!.slow(0);
      roads[0]!.block();
      roads[0]!.open();
    },
  },
  {
    name: "many-large-calls",
    begin: callLargely,
    fires: [saturated("requests")],
    pages: "any",
    restarted: "never",
    async end({ site }) {
      stops.ended(site);
      await site.kms.heal();
    },
    tidy: stops.ended,
  },
  {
    name: "room-for-little",
    whyNot: async () => (await whyNoSmallDisk()) ?? whyNoGroup(),
    async prepare({ site }) {
      disks.put(site, await smallDisk(diskBytes));
      groups.put(site, newGroup(`fluo-kms-${process.pid}`));
    },
    start: (_, site) => ({
      env: { FLUO_KMS_SQLITE_FILE: join(disks.of(site).dir, "kms.db") },
      options: { enter: [...disks.of(site).enter, "/bin/sh", "-c", limited(groups.of(site)), "sh"] },
    }),
    async begin(scene) {
      fillMost(scene);
      await takeRoom(scene);
    },
    beginAgain: takeRoom,
    fires: [...["disk", "descriptors", "memory"].map(saturated), diskIsFull],
    pages: ["KmsSaturated"],
    end({ site }) {
      clients.ended(site);
      freeMost(site);
      writeFileSync(join(groups.of(site), limitFile), "-1");
    },
    async tidy(site) {
      clients.ended(site);
      await disks.ended(site);
      groups.ended(site);
    },
  },
];

/** Begins a process with few descriptors, in the group. */
function limited(group: string): string {
  return `echo $$ > ${group}/cgroup.procs; ulimit -n 160; exec "$@"`;
}

async function takeRoom(scene: Scene): Promise<void> {
  await connectOften(scene);
  limitMemory(scene);
}

function whyNoGroup(): string | undefined {
  try {
    rmdirSync(newGroup(`fluo-kms-${process.pid}-try`));
    return undefined;
  } catch (error) {
    return `no control group of memory can be made: ${(error as Error).message}`;
  }
}
