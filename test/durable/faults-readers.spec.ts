/** A disk that fails under a service while its own readers page, and while a backup by another process runs: writes go on, or name it. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { describe, expect, it, type TestContext } from "vitest";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { unlockStore } from "../../src/keys/store-key/unlock.ts";
import { openLocal } from "../../src/provider/local/open.ts";
import { openStore } from "../../src/store/registry.ts";
import { resultOf, start } from "../support/cli-fixture.ts";
import { fillTrail } from "../support/filled-trail.ts";
import { patience } from "./patience.ts";
import { whyNotPreloaded } from "../support/preloaded-library.ts";
import { failingDisk, mayRetry } from "./faults-ledger.ts";
import { type FaultyService, type StoreDir, unavailable } from "./faults-service.ts";
import { isStopped } from "./replicas.ts";
import { realTime } from "../../src/runtime/time.ts";

const why = whyNotPreloaded();
if (why !== undefined) console.warn(`SKIPPED unless CI is set: ${why}`);

const trailRows = 20_000;
/** Time from the end of the fault. */
const goesOnMs = 2_500;
const fields = [{ name: "email", value: Buffer.from("ann@example.com") }];

/** A trail that takes several pages to read. */
async function fill({ file, env }: StoreDir): Promise<void> {
  const provider = await openLocal({ name: "local", masterKeyFile: env.FLUO_KMS_LOCAL_MASTER_KEY_FILE! });
  const store = await unlockStore(
    await openStore({ name: "sqlite", file }, realTime),
    providerKeys({ current: provider }),
    realTime,
  );
  await fillTrail(store, trailRows, "other");
  await store.close();
}

/** A service over a filled trail, whose disk `calls` makes fail. */
async function startFilled(finished: TestContext["onTestFinished"]) {
  const { store, calls, start } = failingDisk(finished);
  await fill(store);
  const service = await start();
  await service.use("acme");
  return { store, calls, service };
}

/** Resolves once a new tenant's key is made, in milliseconds. */
async function writesAgain({ client }: FaultyService, tenantId: string): Promise<number> {
  const beganAt = performance.now();
  for (;;) {
    const failed = await client.encryptPii({ tenantId, fields }).then(
      () => undefined,
      (error) => error,
    );
    if (failed === undefined) return performance.now() - beganAt;
    expect(mayRetry).toContain(failed.code);
    if (performance.now() - beganAt > patience(goesOnMs))
      throw new Error(`no write within the time: ${failed.message}`);
    await delay(20);
  }
}

describe.skipIf(why !== undefined)("a service on SQLite whose disk fails", () => {
  it("writes again soon after it, while its own readers go from page to page", async ({ onTestFinished }) => {
    const { calls, service } = await startFilled(onTestFinished);
    const { client } = service;
    let isOver = false;
    const seen = { verified: 0, listed: 0, codes: new Set<number>() };
    const loop = async (read: () => Promise<unknown>, done: () => void) => {
      while (!isOver) {
        await read().then(done, async ({ code }) => {
          seen.codes.add(code);
          await delay(20);
        });
      }
    };
    const loops = [
      loop(
        () => client.admin.verifyAudit({}),
        () => (seen.verified += 1),
      ),
      ...[1, 2, 3].map(() =>
        loop(
          () => client.admin.listAuditEvents({ pageSize: 1_000 }),
          () => (seen.listed += 1),
        ),
      ),
    ];
    await expect.poll(() => seen.listed).toBeGreaterThan(2);
    const took: number[] = [];
    for (let round = 0; round < 6; round += 1) {
      calls.fail(round % 2 === 0 ? "sync" : "write", "EIO");
      await unavailable(client.encryptPii({ tenantId: `refused-${round}`, fields }), 3_000);
      calls.heal();
      took.push(await writesAgain(service, `healed-${round}`));
    }
    const [verified, listed] = [seen.verified, seen.listed];
    await expect.poll(() => Math.min(seen.verified - verified, seen.listed - listed)).toBeGreaterThan(0);
    isOver = true;
    await Promise.all(loops);
    console.log(`writes went on ${took.map((ms) => Math.round(ms)).join(", ")} ms after the disk was whole again`);
    for (const code of seen.codes) expect([...mayRetry, status.RESOURCE_EXHAUSTED]).toContain(code);
    await service.until("UP", 4_000);
    await service.check();
  });

  it("names a backup that keeps it from writing, and writes again when that has ended", async ({ onTestFinished }) => {
    const { store, calls, service } = await startFilled(onTestFinished);
    const { client, ledger, use } = service;
    const { keyId } = await client.generateDataKey({ tenantId: "off" });

    const copy = join(store.dir, "..", "backup.db");
    const backup = start(["backup", copy], {
      env: { ...store.env, FLUO_STOP_AT: "sqlite.written:2" },
      flags: [`--import=${pathToFileURL(join(import.meta.dirname, "stop-at.ts"))}`],
      finished: onTestFinished,
    });
    const result = resultOf(backup);
    await expect.poll(() => isStopped(backup)).toBe(true);
    await use("beside"); // it goes on beside a backup

    calls.fail("sync", "EIO");
    await unavailable(client.encryptPii({ tenantId: "refused", fields }), 3_000);
    calls.heal();
    const refusal = await unavailable(client.admin.disableKey({ tenantId: "off", keyId }), 3_000);
    expect(refusal.message).toContain("held by another process: end it, or wait for its backup");
    await expect.poll(service.notices).toContain("wait for its backup");

    backup.kill("SIGCONT");
    expect(await result).toMatchObject({ code: 0, err: "" });
    const tookMs = await writesAgain(service, "after");
    console.log(`writes went on ${Math.round(tookMs)} ms after the end of the backup`);
    await service.until("UP", 4_000);
    await use("refused");
    await ledger.disable(client, "off", keyId);
    await service.endsWhole();
  });
});
