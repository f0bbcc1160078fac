/**
 * This release and two to come (later-releases.ts) on one PostgreSQL, rolled under load: there, back, and there again. No call fails, and nothing is
 * lost. Until an upgrade is finished the release before comes back; from then on it does not start.
 */
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { status } from "@grpc/grpc-js";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fill } from "../../bench/growth/fill.ts";
import { openLocal } from "../../src/provider/local/open.ts";
import { newestSchema } from "../../src/store/sql/rows/schema.ts";
import { runLoad } from "../durable/load.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { type ServiceProcess, watchProcess } from "../support/service-process.ts";
import { describeWhole, isShort, whole } from "../support/short.ts";
import { makeLaterReleases } from "./later-releases.ts";

const root = join(import.meta.dirname, "..", "..");
const dir = mkdtempSync(join(tmpdir(), "fluo-kms-rolling-"));
const releases = { current: root, ...makeLaterReleases(join(dir, "releases")) };
type Release = keyof typeof releases;

const server = await sharedPostgres();
afterAll(() => server.close());

/** Keys that the store has before all else: of `npm run soak:upgrade`. */
const filledKeys = Number(process.env.ROLLING_KEYS ?? 0);
const tenantIds = ["acme", "globex", "initech", "umbrella"];
let env: Record<string, string>;
let db: pg.Client | undefined;

/** Services outlive the test that starts them: a test that fails must not leave them behind. */
const ends: (() => void)[] = [];
afterAll(() => {
  for (const end of ends.reverse()) end();
});

beforeAll(async () => {
  const url = await server.createDatabase();
  env = {
    FLUO_KMS_STORE: "postgres",
    FLUO_KMS_POSTGRES_URL: url,
    FLUO_KMS_STORE_MIGRATE: "never",
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "master.key"),
    FLUO_KMS_LOG_LEVEL: "warn",
  };
  db = new pg.Client({ connectionString: url });
  await db.connect();
});
afterAll(() => db?.end());

function started(release: Release): Promise<ServiceProcess> {
  return begun(release).serving;
}

/** Gives what it says. */
async function refusedStart(release: Release): Promise<string> {
  const { ended, serving } = begun(release);
  await expect(serving).rejects.toThrow("ended without saying");
  const { code, err } = await ended;
  expect(code).toBe(1);
  return err;
}

function begun(release: Release) {
  const ports = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
  const child = spawned(release, { env: { ...ports, FLUO_KMS_LOG_LEVEL: "info" } });
  return watchProcess(child, { finished: (end) => ends.push(end) });
}

/** A process of a release, which ends with this file at the latest. */
function spawned(
  release: Release,
  { flags = [], args = [], ...more }: { flags?: string[]; args?: string[]; env?: object },
) {
  const child = spawn(process.execPath, [...flags, join(releases[release], "src", "main.js"), ...args], {
    cwd: dir,
    env: { PATH: process.env.PATH, ...env, ...more.env },
  });
  ends.push(() => child.kill("SIGKILL"));
  return child;
}

async function command(release: Release, ...args: string[]) {
  return ended(spawned(release, { args }));
}

async function ended(child: ReturnType<typeof spawned>) {
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  const [code, out, err] = await Promise.all([closed, text(child.stdout), text(child.stderr)]);
  return { code, out, err };
}

async function killed(release: Release, at: string, ...args: string[]): Promise<void> {
  expect(await saidUntilKilled(release, at, ...args)).toContain(`killed at ${at.split(":")[0]}`);
}

/** What a command says on standard error that is killed at a step, unless it ends before. */
async function saidUntilKilled(release: Release, at: string, ...args: string[]): Promise<string> {
  const preload = `--import=${pathToFileURL(join(root, "test", "crash", "kill-at.ts"))}`;
  const child = spawned(release, { flags: [preload], args, env: { FLUO_CRASH_AT: at } });
  const err = text(child.stderr);
  await new Promise((resolve) => child.once("close", resolve));
  return err;
}

const running: ServiceProcess[] = [];
const clients: GrpcClient[] = [];

async function start(release: Release): Promise<void> {
  const service = await started(release);
  running.push(service);
  clients.push(service.client);
}

/** As a balancer does: no call goes to it any more, and a moment later it is told to end. */
async function end(service: ServiceProcess): Promise<void> {
  running.splice(running.indexOf(service), 1);
  clients.splice(clients.indexOf(service.client), 1);
  await delay(200);
  expect(await service.end()).toBe(0);
  for (const line of service.log) expect(line).not.toMatch(/DATA_LOSS|not as it was written/);
}

/** Two replicas become two of another release, one after the other, under load. */
async function rolled(...to: Release[]): Promise<void> {
  let isRolling = true;
  const load = runLoad({
    services: clients,
    tenantIds,
    seconds: 1,
    leastRotations: 10,
    inFlight: 8,
    rotateEveryMs: 200,
    goesOn: () => isRolling,
  });
  const roll = async () => {
    for (const release of to) {
      for (const old of [...running]) {
        await start(release);
        await end(old);
      }
    }
  };
  const [{ calls, failures }] = await Promise.all([
    load,
    roll().finally(() => {
      isRolling = false;
    }),
  ]);
  expect(failures).toEqual([]);
  expect(calls.length).toBeGreaterThan(100);
}

async function schemaRow() {
  return (await db!.query("select version::int, min_reader::int from kms_schema")).rows[0];
}

describe("this release and the next", () => {
  it("has the tables made by a command, and a start that may not make them says so", async () => {
    expect(await refusedStart("current")).toContain("run fluo-kms migrate");
    expect(await command("current", "migrate")).toMatchObject({ code: 0, err: "" });
    expect(await schemaRow()).toEqual({ version: newestSchema, min_reader: newestSchema });
  });

  it.runIf(filledKeys > 0)(`have a store with ${filledKeys} keys, and a row of the audit trail for each`, async () => {
    const provider = await openLocal({ name: "local", masterKeyFile: join(dir, "master.key") });
    const tenants = Array.from({ length: filledKeys }, (_, index) => ({
      tenantId: `filled-${index}`,
      purposes: ["data"] as const,
      versions: 1,
      activatedAt: new Date(),
    }));
    const filled = await fill(
      { name: "postgres", url: env.FLUO_KMS_POSTGRES_URL!, maxConnections: 4 },
      provider,
      tenants,
    );
    expect(filled).toEqual({ keyRows: filledKeys, auditRows: filledKeys });
  });

  it("are rolled on one store, there, back and there again, and no call fails", async () => {
    for (let n = 0; n < 2; n += 1) await start("current");
    await killed("next", "schema.migrated:1", "migrate");
    await killed("next", "postgres.written:1", "migrate");
    expect(await schemaRow()).toEqual({ version: newestSchema, min_reader: newestSchema });
    await killed("next", "postgres.committed:1", "migrate");
    expect(await command("next", "migrate")).toMatchObject({ code: 0, err: "" });
    expect(await schemaRow()).toEqual({ version: newestSchema + 1, min_reader: newestSchema });
    await (isShort ? rolled("next") : rolled("next", "current", "next"));
  });

  whole(
    "are not parted while one of this release runs, nor by a command that is killed; then this one does not start",
    async () => {
      const current = await started("current");
      const refused = await command("next", "migrate", "--finish");
      expect(refused).toMatchObject({ code: 1, err: expect.stringMatching(/[0-9a-f]{32} of release \S+, seen at /) });
      expect(await current.end()).toBe(0);
      expect(await command("after", "migrate")).toMatchObject({
        code: 1,
        err: expect.stringContaining("migrate --finish first"),
      });
      await killed("next", "upgrade.finished:1", "migrate", "--finish");
      expect(await schemaRow()).toEqual({ version: newestSchema + 1, min_reader: newestSchema });
      const again = await started("current"); // nothing was finished
      expect(await again.end()).toBe(0);
      expect(await command("next", "backup", join(dir, "before.db"))).toMatchObject({ code: 0 });
      expect(await command("next", "migrate", "--finish")).toMatchObject({ code: 0 });
      expect(await schemaRow()).toEqual({ version: newestSchema + 1, min_reader: newestSchema + 1 });
      expect(await refusedStart("current")).toContain("use the newer release");
    },
  );

  whole(
    "leave a backup of the finished store, which the release after restores, and one from before, which it does not",
    async () => {
      expect(await command("next", "backup", join(dir, "finished.db"))).toMatchObject({ code: 0 });
      const restored = async (release: Release, name: string) => {
        const into = { FLUO_KMS_POSTGRES_URL: await server.createDatabase(), FLUO_KMS_STORE_MIGRATE: "auto" };
        return ended(spawned(release, { args: ["restore", join(dir, name)], env: into }));
      };
      expect(await restored("after", "finished.db")).toMatchObject({ code: 0 });
      expect(await restored("current", "finished.db")).toMatchObject({ code: 1 });
      expect(await restored("current", "before.db")).toMatchObject({ code: 0 });
      expect(await restored("after", "before.db")).toMatchObject({
        code: 1,
        err: expect.stringContaining("migrate --finish first"),
      });
    },
  );
});

describeWhole("the next release and the one after, which writes rows in another form", () => {
  it("are rolled on one store, there, back and there again, and no call fails", async () => {
    expect(await command("after", "migrate")).toMatchObject({ code: 0, err: "" });
    await rolled("after", "next", "after");
  });

  it("are parted once all rows are written anew, by a command that is killed at first", async () => {
    const lost = await started("next");
    await lost.client.generateDataKey({ tenantId: "acme" }); // it is noted
    await lost.end("SIGKILL"); // and may run, for all that others know
    const finishing = () => saidUntilKilled("after", "rows.rewritten:2", "migrate", "--finish");
    expect(await finishing()).toContain("replicas of an earlier release run");
    await expect.poll(finishing, { interval: 5_000 }).toContain("killed at rows.rewritten");
    const { code, out } = await command("after", "migrate", "--finish");
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringMatching(/\d+ rows were written anew/) });
    expect(await schemaRow()).toEqual({ version: newestSchema + 2, min_reader: newestSchema + 2 });
    expect(await command("after", "check")).toMatchObject({ code: 0 });
  });

  it("has a replica that is behind stop writing, and be not ready, until the store is for it again", async () => {
    const [service] = running;
    const ready = async () => (await fetch(`${service!.http}/q/health/ready`)).status;
    expect(await ready()).toBe(200);
    await db!.query("update kms_schema set min_reader = 99");
    await expect.poll(ready, { interval: 500 }).toBe(503);
    const { failed } = await service!.client.rotate({ tenantId: "acme", force: true });
    expect(failed.map(({ error }) => error!.code)).toEqual([status.UNAVAILABLE, status.UNAVAILABLE]);
    await db!.query("update kms_schema set min_reader = $1", [newestSchema + 2]);
    await expect.poll(ready, { interval: 500 }).toBe(200);
    for (const each of [...running]) await end(each);
  });
});
