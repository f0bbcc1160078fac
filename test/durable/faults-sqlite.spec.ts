/** The service on SQLite while its disk fails under it: nothing is acknowledged that is not durable, and nobody restarts it. */
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { type FailingCalls, failingCalls } from "../faults/failing-calls.ts";
import { whyNotPreloaded } from "../support/preloaded-library.ts";
import { smallDisk, whyNoSmallDisk } from "../faults/small-disk.ts";
import { start, resultOf } from "../support/cli-fixture.ts";
import { patience } from "./patience.ts";
import { firstOfEach, whole } from "../support/short.ts";
import { createLedger, mayRetry } from "./faults-ledger.ts";
import { newStoreDir } from "./faults-store.ts";
import { type FaultyService, startFaulty, unavailable } from "./faults-service.ts";

const why = whyNotPreloaded();
if (why !== undefined) console.warn(`SKIPPED unless CI is set: ${why}`);
const whyNoDisk = await whyNoSmallDisk();
if (whyNoDisk !== undefined) console.warn(`SKIPPED: ${whyNoDisk}`);

it.skipIf(why !== undefined && !process.env.CI)("calls can be made to fail here", () => {
  expect(why).toBeUndefined();
});

function newFaults(dir: string, finished: (end: () => void) => void): FailingCalls {
  const calls = failingCalls(dir);
  finished(calls.close);
  return calls;
}

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
    const { dir, env } = newStoreDir(onTestFinished);
    const calls = newFaults(dir, onTestFinished);
    const ledger = createLedger();
    const service = await startFaulty({ ...env, ...calls.env }, { finished: onTestFinished });
    const { client } = service;
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
    await ledger.check(client);
    await service.kill();
    await ledger.check((await startFaulty(env, { finished: onTestFinished })).client);
  });

  it.concurrent.for(firstOfEach(faults))("stands $name", async ({ call, error, told }, { onTestFinished }) => {
    const { dir, env } = newStoreDir(onTestFinished);
    const calls = newFaults(dir, onTestFinished);
    const ledger = createLedger();
    const service = await startFaulty({ ...env, ...calls.env }, { finished: onTestFinished });
    const { client } = service;
    const tenants = Array.from({ length: 5 }, (_, n) => `tenant-${n}`);
    for (const tenantId of [...tenants, "off"]) await ledger.use(client, tenantId);
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
    for (const tenantId of [...tenants, ...newcomers]) await ledger.use(client, tenantId);
    await ledger.rotate(client, "tenant-1");
    await ledger.disable(client, "off", keyId);
    await ledger.check(client);
    await service.kill();
    const again = await startFaulty(env, { finished: onTestFinished });
    await ledger.check(again.client);
  });

  it.concurrent.for(firstOfEach(faults))(
    "does not start with $name, says so in one line, and starts when it is over",
    async ({ call, error, told }, { onTestFinished }) => {
      const { dir, env } = newStoreDir(onTestFinished);
      const calls = newFaults(dir, onTestFinished);
      calls.fail(call, error);
      const env_ = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0", ...env, ...calls.env };
      const { code, err } = await resultOf(start([], { env: env_, finished: onTestFinished }));
      expect(code).toBe(1);
      expect(err).toMatch(/^fluo-kms: did not start: [^\n]*\n$/);
      expect(err).toMatch(new RegExp(`${told.source}|${error}`));
      calls.heal();
      const service = await startFaulty({ ...env, ...calls.env }, { finished: onTestFinished });
      const ledger = createLedger();
      await ledger.use(service.client, "acme");
      await ledger.check(service.client);
    },
  );

  whole.concurrent("rotates nothing by halves", async ({ onTestFinished }) => {
    const { dir, env } = newStoreDir(onTestFinished);
    const calls = newFaults(dir, onTestFinished);
    const ledger = createLedger();
    const service = await startFaulty({ ...env, ...calls.env }, { finished: onTestFinished });
    const { client } = service;
    const tenants = Array.from({ length: 40 }, (_, n) => `tenant-${n}`);
    for (const tenantId of tenants) await ledger.use(client, tenantId);

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
    for (const tenantId of tenants) await ledger.use(client, tenantId);
    await ledger.check(client);
    await service.kill();
    await ledger.check((await startFaulty(env, { finished: onTestFinished })).client);
  });
});

describe.skipIf(whyNoDisk !== undefined)("a service on SQLite on a disk of its own", () => {
  it.concurrent("stands that it is full", async ({ onTestFinished }) => {
    const disk = await smallDisk(4_194_304);
    onTestFinished(disk.unmount);
    const { env } = newStoreDir(onTestFinished, disk.dir);
    const options = { finished: onTestFinished, enter: disk.enter };
    const ledger = createLedger();
    const service = await startFaulty(env, options);
    const { client } = service;
    for (const tenantId of ["acme", "beta"]) await ledger.use(client, tenantId);

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
    for (const tenantId of [...refused, "acme"]) await ledger.use(client, tenantId);
    await ledger.check(client);
    await service.kill();
    await ledger.check((await startFaulty(env, options)).client);
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
