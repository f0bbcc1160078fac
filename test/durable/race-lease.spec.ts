/**
 * A replica that rotates due keys is stopped by SIGSTOP, as by a hypervisor or a host without memory, and another takes over. When the
 * first goes on, nothing that it still does changes a key. The tests mostly wait for leases to end, so they run side by side.
 */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it, type TestContext } from "vitest";
import { fromNow } from "../support/from-now.ts";
import { patience } from "./patience.ts";
import { firstOfEach, whole } from "../support/short.ts";
import { newMasterKeyFile, openObserver, startReplica } from "./replicas.ts";
import { serverOfFile } from "./services.ts";

const server = await serverOfFile();
const dayMs = 24 * 60 * 60 * 1000;
/** Of the replica that is stopped; its successor's is long enough never to matter. */
const leaseTtlMs = 1_000;
const successorTtlMs = 30_000;
/** How long PostgreSQL lets a transaction idle, then it cuts the connection; for the service that is 15 s. */
const idleMs = 1_500;
const batchSize = 100;

const possible = process.platform !== "win32" && server !== undefined;

describe.skipIf(!possible).concurrent("a replica that is stopped while it rotates due keys", () => {
  /** Two replicas, and `count` tenants whose data keys are due. */
  async function setUp({ onTestFinished }: TestContext, count: number) {
    const url = `${await server!.createDatabase()}?idle_in_transaction_session_timeout=${idleMs}`;
    const store = { name: "postgres", url, maxConnections: 4 } as const;
    const masterKeyFile = newMasterKeyFile();
    const observer = await openObserver(store, masterKeyFile);
    const slow = startReplica({ store, masterKeyFile });
    const next = startReplica({ store, masterKeyFile });
    onTestFinished(async () => {
      await Promise.all([slow.end(), next.end()]);
      await observer.close();
    });
    const tenantIds = Array.from({ length: count }, (_, index) => `due-${index}`);
    await observer.createKeys(tenantIds, "data", 100 * dayMs);
    await Promise.all([slow.ask("activations"), next.ask("activations")]);

    return {
      slow,
      tenantIds,

      /** How many keys are still due. */
      dueCount: async () => (await observer.store.due(fromNow(-90 * dayMs), 1)).total,

      /** The other tries until the lease is free, and rotates what is due. */
      async takeOver() {
        const beganAt = performance.now();
        for (;;) {
          const { outcome, batches } = await next.ask("runRotation", successorTtlMs);
          expect(outcome).toBe("OK");
          const rotated = batches.flatMap((batch) => batch.rotated);
          if (batches.length > 0) return { waitedMs: performance.now() - beganAt, rotated };
          await delay(20);
        }
      },

      async expectOneNewVersionEach() {
        const versions = await Promise.all(tenantIds.map((tenantId) => observer.versions(tenantId, "data")));
        expect(versions.map((records) => records.length)).toEqual(tenantIds.map(() => 2));
        await observer.expectClean();
      },
    };
  }

  const leaseIsOver = /^LEASE_LOST: the lease rotation\/2 of generation 1 is over$/;
  /** Four keys are rotated at once: while one is stopped where a test wants it, another may be in its transaction. */
  const cutOff = /^STORE_UNAVAILABLE: /;

  const places = [
    ["after it took the lease", { at: "lease.taken" }, 0],
    ["in a key, before its record is stored", { at: "key.made" }, 0],
    ["in a key, between insert and activate", { at: "key.inserted" }, 0],
    ["in a key, right before activate", { at: "key.proven" }, 0],
    ["after some keys, in another", { at: "key.inserted", after: "key.activated" }, 1],
    ["between two batches", { at: "rotation.batch" }, batchSize],
  ] as const;

  it.for(firstOfEach(places))("changes no key any more when it goes on: %s", async ([, where, least], context) => {
    const { slow, tenantIds, dueCount, takeOver, expectOneNewVersionEach } = await setUp(
      context,
      least === batchSize ? batchSize + 10 : 8,
    );
    await slow.ask("stopAt", where);
    const running = slow.ask("runRotation", leaseTtlMs);
    await slow.stopped();
    const left = await dueCount();
    expect(tenantIds.length - left).toBeGreaterThanOrEqual(least);

    const { rotated } = await takeOver();
    expect(rotated).toHaveLength(left);
    slow.signal("SIGCONT");
    const { outcome } = await running;

    expect(outcome).toMatch(/^(OK$|LEASE_LOST: the lease |CANCELLED: )/);
    const refused = (await slow.ask("activations")).filter((tried) => tried.outcome !== "OK");
    const byLease = refused.filter((tried) => leaseIsOver.test(tried.outcome));
    for (const tried of refused) if (!byLease.includes(tried)) expect(tried.outcome).toMatch(cutOff);
    if (where.at === "key.proven") expect(byLease).not.toEqual([]);
    await expectOneNewVersionEach();
  });

  whole("is refused its write after its lease though nobody took it over, and gives way", async (context) => {
    const { slow, takeOver, expectOneNewVersionEach } = await setUp(context, 8);
    await slow.ask("stopAt", { at: "key.proven" });
    const running = slow.ask("runRotation", leaseTtlMs);
    await slow.stopped();
    await delay(leaseTtlMs + 200);

    slow.signal("SIGCONT");
    await running;

    const tried = await slow.ask("activations");
    expect(tried.some(({ outcome }) => leaseIsOver.test(outcome))).toBe(true);
    for (const { outcome } of tried) expect(outcome).not.toBe("OK");
    await takeOver();
    await expectOneNewVersionEach();
  });

  whole(
    "blocks its successor no longer than PostgreSQL lets a transaction idle, and loses what it had written",
    async (context) => {
      const { slow, tenantIds, takeOver, expectOneNewVersionEach } = await setUp(context, 8);
      await slow.ask("stopAt", { at: "postgres.written", after: "key.proven" });
      const running = slow.ask("runRotation", leaseTtlMs);
      await slow.stopped();

      const { waitedMs, rotated } = await takeOver();
      console.log(
        `a successor waited ${Math.round(waitedMs)} ms for a transaction that was stopped and idled ${idleMs}`,
      );
      expect(waitedMs).toBeLessThan(patience(idleMs + 3_000));
      slow.signal("SIGCONT");
      await running;

      const tried = await slow.ask("activations");
      expect(tried.filter(({ outcome }) => outcome === "OK").length + rotated.length).toBe(tenantIds.length);
      expect(tried.some(({ outcome }) => cutOff.test(outcome))).toBe(true);
      await expectOneNewVersionEach();
    },
  );
});
