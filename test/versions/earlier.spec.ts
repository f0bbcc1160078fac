/**
 * The version before, from its own sources in FLUO_VERSIONS_SOURCES, beside this one on PostgreSQL: it neither destroys nor rotates any more and
 * says so, and this one does. First it runs alone, so that the test knows that it would. Beside it a start does not migrate: the command does.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, expect, it, onTestFinished } from "vitest";
import { KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { runProcess } from "../support/cli-fixture.ts";
import { beginProcess, startProcess, watchProcess } from "../support/service-process.ts";

const sources = process.env.FLUO_VERSIONS_SOURCES;
const server = await sharedPostgres();
afterAll(() => server.close());

const settings = { KMS_ROTATION_CHECK_CRON: "* * * * * ?", KMS_ROTATION_MAX_AGE_DAYS: "5" };

async function place() {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-versions-"));
  const days = join(dir, "days");
  const setDays = (count: number) => writeFileSync(days, String(count));
  setDays(0);
  const env = {
    FLUO_KMS_STORE: "postgres",
    FLUO_KMS_POSTGRES_URL: await server.createDatabase(),
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "master.key"),
    ...settings,
  };
  return {
    setDays,
    /** The version before. */
    async earlier() {
      const preload = `--import=${pathToFileURL(join(import.meta.dirname, "hasty.js"))}`;
      const child = spawn(process.execPath, [preload, join(sources!, "src", "main.js")], {
        cwd: dir,
        env: {
          PATH: process.env.PATH,
          ...env,
          FLUO_VERSIONS_DAYS: days,
          FLUO_KMS_GRPC_PORT: "0",
          FLUO_KMS_HTTP_PORT: "0",
        },
      });
      onTestFinished(() => void child.kill("SIGKILL"));
      return watchProcess(child, {}).serving;
    },
    /** This version's start, which may be refused. */
    begun: () => beginProcess(env, { cwd: dir }),
    /** Brings the store to this version, whoever uses it. */
    async migrate() {
      expect(await runProcess(["migrate"], { env, cwd: dir })).toMatchObject({ code: 0, err: "" });
    },
    /** This version, so many days later. */
    current: (later: number) =>
      startProcess(
        { ...env, FLUO_CRASH_DAYS: String(later), FLUO_CRASH_HASTE: "yes" },
        { preload: [join(import.meta.dirname, "..", "crash", "clock.ts")], cwd: dir },
      ),
  };
}

async function keysOf(client: GrpcClient, tenantId: string) {
  const { keys } = await client.admin.listKeys({ tenantId });
  const nameOf = (state: KeyState) => Object.entries(KeyState).find(([, number]) => number === state)![0];
  return keys.map(({ version, state }) => `v${version!.version} ${nameOf(state)}`);
}

async function newKey(client: GrpcClient, tenantId: string): Promise<string> {
  return (await client.generateDataKey({ tenantId })).keyId;
}

async function schedule(client: GrpcClient, tenantId: string): Promise<void> {
  await client.admin.scheduleKeyDestruction({ tenantId, keyId: await newKey(client, tenantId), days: 7 });
}

it("destroys and rotates alone", async () => {
  const { earlier, setDays } = await place();
  const old = await earlier();
  await schedule(old.client, "going");
  await newKey(old.client, "ageing");
  setDays(8);
  await old.said(/keys were destroyed whose time had come/);
  await expect.poll(() => keysOf(old.client, "ageing")).toEqual(["v1 RETIRED", "v2 ACTIVE"]);
  expect(await keysOf(old.client, "going")).toEqual(["v1 DESTROYED"]);
});

it("keeps this one from starting, and its own way back, until it has ended", async () => {
  const { earlier, begun, current } = await place();
  const old = await earlier();
  const keyId = await newKey(old.client, "acme");
  const { serving, ended } = begun();
  await expect(serving).rejects.toThrow("ended without saying");
  const refused = await ended;
  expect(refused).toMatchObject({
    code: 1,
    err: expect.stringContaining("services of an earlier release use the store"),
  });
  expect(refused.err).toContain("run fluo-kms migrate");
  expect(await old.end()).toBe(0);
  const again = await earlier(); // nothing was migrated
  expect(await newKey(again.client, "acme")).toBe(keyId);
  expect(await again.end()).toBe(0);
  const service = await current(0);
  expect(await newKey(service.client, "acme")).toBe(keyId);
});

it("neither rotates beside this one nor destroys what it scheduled before, and says so; this one does", async () => {
  const { earlier, migrate, current, setDays } = await place();
  const old = await earlier();
  await schedule(old.client, "going");
  await newKey(old.client, "ageing");
  await migrate();
  const first = await current(0);
  await expect.poll(() => destroyUnwitnessed(first.client, "going")).toBeDefined();
  expect(await first.end()).toBe(0);

  setDays(8);
  await old.said(/"level":40.*not as it was written.*maintenance of keys is tried again/);
  await old.said(
    /"level":50.*an earlier version of the service may not do this any more: stop it.*rotation of due keys/,
  );

  const later = await current(8);
  await later.said(/keys were destroyed whose time had come/);
  expect(await keysOf(later.client, "going")).toEqual(["v1 DESTROYED"]);
  await expect.poll(() => keysOf(later.client, "ageing")).toEqual(["v1 RETIRED", "v2 ACTIVE"]);
});

it("destroys nothing that it schedules afterwards either; this one waits for a day more at least", async () => {
  const { earlier, migrate, current, setDays } = await place();
  const old = await earlier();
  await newKey(old.client, "going");
  await migrate();
  expect(await (await current(0)).end()).toBe(0);

  await schedule(old.client, "going");
  setDays(8);
  await old.said(
    /"level":40.*an earlier version of the service may not do this any more: stop it.*maintenance of keys/,
  );
  const later = await current(8);
  await expect.poll(() => destroyUnwitnessed(later.client, "going")).toMatchObject({ seconds: 86_400n });
  expect(await keysOf(later.client, "going")).toEqual(["v1 DESTROY_SCHEDULED"]);
});

async function destroyUnwitnessed(client: GrpcClient, tenantId: string) {
  return (await client.admin.listKeys({ tenantId })).keys[0]!.destroyUnwitnessed;
}
