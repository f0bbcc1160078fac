/** The service on SQLite while its disk fails under it: nothing is acknowledged that is not durable, and nobody restarts it. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { whyNotPreloaded } from "../support/preloaded-library.ts";
import { smallDisk, whyNoSmallDisk } from "../faults/small-disk.ts";
import { resultOf, start as startCommand } from "../support/cli-fixture.ts";
import { damageLog } from "../support/crashed-store.ts";
import { patience } from "./patience.ts";
import type { ServiceProcess } from "../support/service-process.ts";
import { firstOfEach, whole } from "../support/short.ts";
import { failingDisk, mayRetry, startRecorded } from "./faults-ledger.ts";
import { type FaultyService, newStoreDir, unavailable } from "./faults-service.ts";

const why = whyNotPreloaded();
if (why !== undefined) console.warn(`SKIPPED unless CI is set: ${why}`);
const whyNoDisk = await whyNoSmallDisk();
if (whyNoDisk !== undefined) console.warn(`SKIPPED: ${whyNoDisk}`);

it.skipIf(why !== undefined && !process.env.CI)("calls can be made to fail here", () => {
  expect(why).toBeUndefined();
});

const anyPorts = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
const faults = [
  { name: "a full disk", call: "write", error: "ENOSPC", told: /disk is full/ },
  {
    name: "a file system that became read-only",
    call: "write",
    error: "EROFS",
    told: /readonly|I\/O error|unable to open/,
  },
  { name: "syncs that fail", call: "sync", error: "EIO", told: /I\/O error/ },
] as const;

describe.skipIf(why !== undefined)("a service on SQLite", () => {
  whole.concurrent("loses nothing under a disk that fails and recovers again and again", async ({ onTestFinished }) => {
    const { calls, start } = failingDisk(onTestFinished);
    const service = await start();
    const { client, ledger } = service;
    const codes = new Set<number | undefined>();
    let acknowledged = 0;
    let isOver = false;
    async function load(worker: number): Promise<void> {
      for (let n = 0; !isOver; n++) {
        const tenantId = `tenant-${worker}-${n % 15}`;
        const work = n % 4 === 3 ? ledger.rotate(client, tenantId, `request-${n}`) : ledger.use(client, tenantId);
        await work.then(
          () => {
            acknowledged += 1;
          },
          async (failure) => {
            codes.add(failure.code);
            await delay(10);
          },
        );
      }
    }
    const loads = [0, 1, 2, 3].map(load);
    // On a slow machine it takes more rounds until enough was acknowledged that could be lost.
    for (let round = 0; round < 18 || (acknowledged <= 20 && round < 180); round++) {
      await delay(50 + Math.random() * 300);
      const { call, error } = faults[round % faults.length]!;
      calls.fail(call, error);
      await delay(Math.random() * 120);
      calls.heal();
    }
    isOver = true;
    await Promise.all(loads);
    // A tenant whose first call was refused has nothing to rotate.
    for (const code of codes) expect([...mayRetry, status.NOT_FOUND]).toContain(code);
    expect(acknowledged).toBeGreaterThan(20);
    await service.until("UP", 4_000);
    await service.endsWhole();
  });

  it.concurrent.for(firstOfEach(faults))("stands $name", async ({ call, error, told }, { onTestFinished }) => {
    const { calls, start } = failingDisk(onTestFinished);
    const service = await start();
    const { client, ledger, use } = service;
    const tenants = Array.from({ length: 5 }, (_, n) => `tenant-${n}`);
    await use(...tenants, "off");
    const { keyId } = await client.generateDataKey({ tenantId: "off" });

    calls.fail(call, error);
    await refusesChanges(service, keyId, 3_000);
    await restsCachedKeys(service, "tenant-0", 4_000);
    await service.until("DOWN", 2_000);
    const notices = await service.notices();
    expect(notices).toMatch(told);
    expect(notices).toContain("No key is used, because its use could not be audited");
    const newcomers = Array.from({ length: 20 }, (_, n) => `newcomer-${n}`);
    await Promise.all(newcomers.map((tenantId) => unavailable(client.encryptPii({ tenantId, fields }), 2_000)));
    await delay(500);

    calls.heal();
    await service.until("UP", 4_000);
    expect(await service.notices()).not.toMatch(told);
    await use(...tenants, ...newcomers);
    await ledger.rotate(client, "tenant-1");
    await ledger.disable(client, "off", keyId);
    await service.endsWhole();
  });

  it.concurrent.for(firstOfEach(faults))(
    "does not start with $name, says so in one line, and starts when it is over",
    async ({ call, error, told }, { onTestFinished }) => {
      const { calls, env, start } = failingDisk(onTestFinished);
      calls.fail(call, error);
      const { code, err } = await resultOf(
        startCommand([], { env: { ...anyPorts, ...env }, finished: onTestFinished }),
      );
      expect(code).toBe(1);
      expect(err).toMatch(/^fluo-kms: did not start: [^\n]*\n$/);
      expect(err).toMatch(new RegExp(`${told.source}|${error}`));
      calls.heal();
      const service = await start();
      await service.use("acme");
      await service.check();
    },
  );

  whole.concurrent("rotates nothing by halves", async ({ onTestFinished }) => {
    const { calls, start } = failingDisk(onTestFinished);
    const service = await start();
    const { client, use } = service;
    const tenants = Array.from({ length: 40 }, (_, n) => `tenant-${n}`);
    await use(...tenants);

    const batch = client.rotate({ force: true, limit: 80 }).then(
      ({ rotated, failed }) => [rotated.length, ...new Set(failed.map(({ error }) => error?.code))],
      (failure) => [failure.code],
    );
    await delay(150);
    calls.fail("sync", "EIO");
    const outcome = await batch;
    expect(outcome.at(-1)).toBe(status.UNAVAILABLE);
    calls.heal();
    await service.until("UP", 4_000);
    await use(...tenants);
    await service.endsWhole();
  });

  it("keeps every byte of a log that was damaged while its connection was given up", async ({ onTestFinished }) => {
    const { store, calls, start } = failingDisk(onTestFinished);
    const service = await start();
    const { client } = service;
    const tenants = Array.from({ length: 8 }, (_, n) => `tenant-${n}`);
    for (const tenantId of tenants) await client.generateDataKey({ tenantId });

    calls.fail("write", "ENOSPC");
    await unavailable(client.rotate({ tenantId: "tenant-0", force: true }), 4_000);
    await service.until("DOWN", 4_000);
    await damageClosedLog(service.process, store.file);
    const bytes = () => ["", "-wal"].map((end) => readFileSync(store.file + end));
    const damaged = bytes();
    calls.heal();
    await expect.poll(service.notices).toContain("is not opened again after an error");
    await unavailable(client.generateDataKey({ tenantId: "tenant-9" }), 4_000);
    await service.kill();
    expect(bytes()).toEqual(damaged);

    const command = startCommand([], { env: { ...anyPorts, ...store.env }, finished: onTestFinished });
    const { code, err } = await resultOf(command);
    expect(code).toBe(1);
    expect(err).toMatch(/ is damaged at frame \d+, before a commit/);
    expect(bytes()).toEqual(damaged);
  });
});

describe.skipIf(whyNoDisk !== undefined)("a service on SQLite on a disk of its own", () => {
  it.concurrent("stands that it is full", async ({ onTestFinished }) => {
    const disk = await smallDisk(4_194_304);
    onTestFinished(disk.unmount);
    const { env } = newStoreDir(onTestFinished, disk.dir);
    const options = { finished: onTestFinished, enter: disk.enter };
    const service = await startRecorded(env, options);
    const { client, ledger, use } = service;
    await use("acme", "beta");

    disk.fill();
    // What was written of the log before has room for a little.
    const refused: string[] = [];
    for (let n = 0; refused.length < 5; n++) {
      const tenantId = `new-${n}`;
      await ledger.use(client, tenantId).catch((failure) => {
        expect(mayRetry).toContain(failure.code);
        refused.push(tenantId);
      });
    }
    await restsCachedKeys(service, "acme", 6_000);
    await service.until("DOWN", 4_000);
    expect(await service.notices()).toMatch(/disk is full/);

    disk.free();
    await service.until("UP", 4_000);
    await use(...refused, "acme");
    await service.endsWhole();
  });
});

const fields = [{ name: "email", value: Buffer.from("ann@example.com") }];

/** A first call, a rotation, and a change of a key's state. */
async function refusesChanges({ client }: FaultyService, keyId: string, withinMs: number): Promise<void> {
  const rotate = async () => {
    const call = client.rotate({ tenantId: "tenant-1", purpose: KeyPurpose.DATA, force: true });
    const answer = await call.catch(() => undefined);
    // Behind a write that failed, SQLite may refuse to read too, and the call then fails as a whole.
    if (answer === undefined) return unavailable(call, withinMs);
    expect(answer.rotated).toEqual([]);
    expect(answer.failed.map(({ error }) => error?.code)).toEqual([status.UNAVAILABLE]);
  };
  const beganAt = performance.now();
  await Promise.all([
    unavailable(client.encryptPii({ tenantId: "new", fields }), withinMs),
    unavailable(
      client.signSpan({ tenantId: "new", span: { traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 1) } }),
      withinMs,
    ),
    unavailable(client.admin.disableKey({ tenantId: "off", keyId }), withinMs),
    rotate(),
  ]);
  expect(performance.now() - beganAt).toBeLessThan(patience(withinMs));
}

/** What needs no write itself goes on until its use cannot be audited, and no longer. */
async function restsCachedKeys({ client }: FaultyService, tenantId: string, withinMs: number): Promise<void> {
  const until = performance.now() + patience(withinMs);
  for (;;) {
    const failed = await client.generateDataKey({ tenantId }).then(
      () => undefined,
      (error) => error,
    );
    if (failed !== undefined) break;
    if (performance.now() > until) throw new Error("keys are used that cannot be audited");
    await delay(20);
  }
  const { reason } = await unavailable(client.generateDataKey({ tenantId }), 1_000);
  expect(reason).toBe("AUDIT_UNAVAILABLE");
}

/** The service opens the log for a moment each time that it tries again. What is damaged meanwhile is not what it looked at. */
async function damageClosedLog({ child }: ServiceProcess, file: string): Promise<void> {
  const proc = `/proc/${child.pid}`;
  const fds = join(proc, "fd");
  const isStopped = () => /\) T /.test(readFileSync(join(proc, "stat"), "utf8"));
  const isOpen = () => readdirSync(fds).some((fd) => readlinkSync(join(fds, fd)) === `${file}-wal`);
  for (;;) {
    child.kill("SIGSTOP");
    while (!isStopped()) await delay(1);
    const isClosed = !isOpen();
    if (isClosed) damageLog(file);
    child.kill("SIGCONT");
    if (isClosed) return;
    await delay(7);
  }
}
