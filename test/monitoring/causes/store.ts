/** Keys that grow old, and stores that are damaged, put back, locked or not backed up. */
import { mkdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import type { Service, Site } from "../site.ts";
import { atExit, run } from "../../support/cli-fixture.ts";
import { execute } from "../../support/postgres-server.ts";
import { encrypt } from "./availability.ts";
import { type Cause, ofSites, type Scene } from "./cause.ts";

function databaseOf(url: string): string {
  return new URL(url).pathname.slice(1);
}

/** Nobody may be connected to a database that is copied or renamed. */
async function alone({ roads, database, server }: Scene, ...statements: readonly string[]): Promise<void> {
  for (const road of roads) road.block();
  const ending = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${databaseOf(database!)}'`;
  await execute(server.url, ending, ...statements);
  for (const road of roads) road.open();
}

/** Gives what it printed. */
async function command({ env, dir }: Site, ...args: readonly string[]): Promise<string> {
  const { code, out, err } = await run(args, { env, cwd: dir, finished: atExit });
  if (code !== 0) throw new Error(`${args[0]}: ${out}${err}`);
  return out;
}

const rotate = ({ client }: Service) => client.rotate({ tenantId: "acme", force: true });

/** Rotates the key of a tenant, and gives the id of the former one. */
async function retireKey({ services: [service] }: Scene): Promise<{ tenantId: string; keyId: string }> {
  const tenantId = "acme";
  await encrypt(service!);
  await rotate(service!);
  const { keys } = await service!.client.admin.listKeys({ tenantId });
  return { tenantId, keyId: keys.find(({ version }) => version!.version === 1)!.version!.keyId };
}

/** Keys that somebody wants to be destroyed. */
const unwanted = ofSites((_: Awaited<ReturnType<typeof retireKey>>) => {});

/** Path of a folder in the way of each new heads file. The present file stays readable. */
const headsObstacle = ({ dir }: Site) => join(dir, "kms.db-heads.new");

/** A lock is held by a connection of the test. */
const locks = ofSites((client: Client) => client.end());

const methodFails = ["critical", "warning"].map((severity) => ({ name: "KmsMethodFails", labels: { severity } }));

export const stores: readonly Cause[] = [
  {
    name: "record-altered",
    store: "postgres",
    call: encrypt,
    async begin({ database, services }) {
      await services[0]!.client.signSpan({ tenantId: "acme", span: { name: "a" } }).catch(() => {});
      await execute(database!, "UPDATE kms_keys SET version = version + 7 WHERE purpose = 'data'");
      // More than the two that alert nobody.
      for (let calls = 0; calls < 4; calls += 1) {
        await services[0]!.client.rotate({ tenantId: "acme", force: true }).catch(() => {});
        await services[0]!.client.admin.listKeys({ tenantId: "acme" }).catch(() => {});
      }
    },
    fires: [{ name: "KmsDataLoss" }, ...methodFails],
    // These faults are before its first look.
    late: [{ name: "KmsDataLoss" }],
    pages: ["KmsDataLoss"],
    // It is told of until a whole pass finds none, and each start begins one.
    async end({ database, restart }) {
      await execute(database!, "UPDATE kms_keys SET version = version - 7 WHERE purpose = 'data'");
      await restart(0);
    },
    // Nobody calls the method again.
    linger: methodFails,
  },
  {
    name: "store-put-back",
    store: "postgres",
    async begin(scene) {
      const { services, database } = scene;
      const name = databaseOf(database!);
      await encrypt(services[0]!);
      await alone(scene, `CREATE DATABASE ${name}_copy TEMPLATE ${name}`);
      await rotate(services[0]!);
      await alone(scene, `DROP DATABASE ${name}`, `ALTER DATABASE ${name}_copy RENAME TO ${name}`);
    },
    fires: [{ name: "KmsHeadsBehind" }, { name: "KmsNotReady" }],
    pages: ["KmsHeadsBehind"],
    restarted: "gone",
  },
  {
    name: "audit-locked",
    store: "postgres",
    call: encrypt,
    async begin({ database, site }) {
      const client = locks.put(site, new Client({ connectionString: database! }));
      await client.connect();
      await client.query("BEGIN; LOCK TABLE kms_audit IN EXCLUSIVE MODE");
    },
    fires: [{ name: "KmsAuditFails" }],
    pages: ["KmsAuditFails"],
    end: ({ site }) => locks.ended(site),
    tidy: locks.ended,
  },
  {
    name: "neglected",
    site: { env: { FLUO_KMS_BACKUP_INTERVAL: "1d" } },
    // Nobody backs it up, checks it, or sets its clock; and no pass over it comes, as a day of that age is a second here.
    begin: ({ site }) => site.kms.fault({ dateOffsetMs: 120_000 }),
    fires: [
      ...[{ name: "KmsBackupTooOld", labels: { backup: "none" } }, { name: "KmsRestoreDrillTooOld" }],
      ...[saturated("integrity_pass"), saturated("clock")],
    ],
    async end({ site }) {
      await site.kms.heal();
      await command(site, "backup", join(site.dir, "backup.db"));
      site.write({ "report.json": await command(site, "check", "--json") });
      await command(site, "note-check", join(site.dir, "report.json"));
    },
    linger: [saturated("integrity_pass")],
  },
  {
    // The provider key is well, but no key may be made by it.
    name: "rotation-stuck",
    site: { env: { KMS_ROTATION_MAX_AGE_DAYS: "1" } },
    start: (_, { dir }) => ({
      env: { FLUO_CRASH_DAYS: String(days.get(dir) ?? 0) },
      options: { preload: [join(import.meta.dirname, "..", "..", "crash", "clock.ts")] },
    }),
    call: (service, turn) => (turn % 10 === 0 ? rotate(service) : Promise.resolve()),
    async begin({ site, services, restart }) {
      await encrypt(services[0]!);
      site.kms.deny(({ operation }) => operation === "GenerateDataKey");
      days.set(site.dir, 10);
      await restart(0);
    },
    fires: [{ name: "KmsRotationOverdue" }, { name: "KmsKeyRotationFailure" }],
    async end({ site, services }) {
      site.kms.deny(() => false);
      await rotate(services[0]!);
    },
  },
  {
    // Only one backup was made, the heads file cannot be written, and somebody wants a key destroyed.
    name: "store-in-danger",
    site: { env: { FLUO_KMS_BACKUP_INTERVAL: "20s" } },
    call: encrypt,
    async begin(scene) {
      const { site, services } = scene;
      await command(site, "backup", join(site.dir, "backup.db"));
      mkdirSync(headsObstacle(site));
      const key = unwanted.put(site, await retireKey(scene));
      await services[0]!.client.admin.scheduleKeyDestruction({ ...key, days: 7 });
    },
    fires: [
      ...[{ name: "KmsBackupTooOld", labels: { severity: "critical" } }, { name: "KmsHeadsUnwritten" }],
      { name: "KmsKeyDestruction" },
    ],
    pages: ["KmsBackupTooOld"],
    silent: [{ name: "KmsHeadsBehind" }, { name: "KmsNotReady" }],
    async end({ site, services }) {
      rmdirSync(headsObstacle(site));
      await services[0]!.client.admin.cancelKeyDestruction(unwanted.of(site));
      await command(site, "backup", join(site.dir, "next-backup.db"));
    },
    tidy: unwanted.ended,
  },
];

/** Days by which a site's services are later. */
const days = new Map<string, number>();

function saturated(resource: string) {
  return { name: "KmsSaturated", labels: { resource } };
}
