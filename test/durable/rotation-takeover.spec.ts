/** A service that is killed while it rotates due keys: another, of the same PostgreSQL, goes on soon after the end of its lease. */
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { describe, expect, it } from "vitest";
import { fromNow } from "../support/from-now.ts";
import { patience } from "./patience.ts";
import { beginProcess, startProcess } from "../support/service-process.ts";
import { openObserver } from "./replicas.ts";
import { newStore, serverOfFile } from "./services.ts";

const server = await serverOfFile();
const dayMs = 24 * 60 * 60 * 1000;
/** Time from the end of the lease. Without a second look it would be minutes. */
const takeoverMs = 30_000;
const killAt = join(import.meta.dirname, "..", "crash", "kill-at.ts");
const tenantIds = Array.from({ length: 12 }, (_, index) => `due-${index}`);

describe.skipIf(server === undefined)("a service on PostgreSQL that is killed while it rotates", () => {
  it("is followed by another within half a minute of the end of its lease", async ({ onTestFinished }) => {
    const env = await newStore("postgres", server);
    const url = env.FLUO_KMS_POSTGRES_URL!;
    const observer = await openObserver(
      { name: "postgres", url, maxConnections: 2 },
      env.FLUO_KMS_LOCAL_MASTER_KEY_FILE!,
    );
    onTestFinished(() => observer.close());
    await observer.createKeys(tenantIds, "data", 100 * dayMs);
    const dueCount = async () => (await observer.store.due(fromNow(-90 * dayMs), 1)).total;

    const first = beginProcess({ ...env, FLUO_CRASH_AT: "key.inserted:6" }, { preload: [killAt] });
    first.serving.catch(() => {}); // it may be killed before
    expect((await first.ended).err).toContain("killed at key.inserted");
    expect(await dueCount()).toBeGreaterThan(0);

    const client = new pg.Client({ connectionString: url });
    await client.connect();
    onTestFinished(() => client.end());
    const msToEnd = `select expires_at - (extract(epoch from clock_timestamp()) * 1000)::bigint as ms
      from kms_leases where name = 'rotation/2'`;
    const { rows } = await client.query(msToEnd);
    const endsInMs = Number(rows[0].ms);
    const endsAt = performance.now() + endsInMs;
    expect(endsInMs).toBeGreaterThan(0);

    await startProcess(env);
    const left = await dueCount();
    let now = left;
    while (now === left) {
      expect(performance.now() - endsAt).toBeLessThan(takeoverMs + patience(3_000));
      await delay(200);
      now = await dueCount();
    }
    const tookMs = performance.now() - endsAt;
    console.log(`another service rotated ${Math.round(tookMs)} ms after the end of the lease of one that was killed`);
    expect(tookMs).toBeGreaterThan(0);
    await expect.poll(dueCount).toBe(0);
    const versions = await Promise.all(tenantIds.map((tenantId) => observer.versions(tenantId, "data")));
    expect(versions.map((records) => records.length)).toEqual(tenantIds.map(() => 2));
  });
});
