/** What a look at the store tells of backups and checks. */
import { createSecretKey, randomBytes } from "node:crypto";
import { expect, it, onTestFinished } from "vitest";
import { KmsError } from "../../src/errors.ts";
import { watchLastRuns } from "../../src/health/last-runs.ts";
import type { NotedWork } from "../../src/store/lease-store.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { sqliteBackdoor, unlocked } from "../support/store-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

const at = (ms: number) => new Date(1_760_000_000_000 + ms);

async function note(store: Store, name: NotedWork, when: Date): Promise<void> {
  const { generation } = await store.lease(name, "a command", 1_000);
  await store.finishLease({ name, generation: generation! }, when);
}

it("is undefined before the first look, and of work that nobody did", async () => {
  const store = memoryStore(realTime);
  const watch = watchLastRuns(store, () => {});
  await note(store, "backup", at(1));
  expect(watch.seenAt("backup")).toBeUndefined();
  await watch.look();
  expect(watch.seenAt("backup")).toEqual(at(1));
  expect(watch.seenAt("check")).toBeUndefined();
});

it("is what each was noted with last, and stays while the store does not answer", async () => {
  const store = memoryStore(realTime);
  let isAway = false;
  const lost: string[] = [];
  const watch = watchLastRuns(
    {
      leaseFinishedAt: (name) =>
        isAway ? Promise.reject(new KmsError("STORE_UNAVAILABLE", "gone")) : store.leaseFinishedAt(name),
    },
    (what) => lost.push(what),
  );
  await note(store, "backup", at(1));
  await note(store, "check", at(2));
  await watch.look();
  await note(store, "check", at(3));
  isAway = true;
  await watch.look();
  expect([watch.seenAt("backup"), watch.seenAt("check")]).toEqual([at(1), at(2)]);
  isAway = false;
  await watch.look();
  expect([watch.seenAt("backup"), watch.seenAt("check")]).toEqual([at(1), at(3)]);
  expect(lost).toEqual([]);
});

it("is not believed once somebody changed it, and the other is", async () => {
  const { open, sql } = sqliteBackdoor();
  const store = await unlocked(await open(), createSecretKey(randomBytes(32)));
  onTestFinished(() => store.close());
  await note(store, "backup", at(1));
  await note(store, "check", at(2));
  const lost: string[] = [];
  const watch = watchLastRuns(store, (what) => lost.push(what));
  await watch.look();
  expect(lost).toEqual([]);
  await sql("update kms_leases set finished_at = finished_at + 1000 where name = 'backup'");
  await watch.look();
  expect([watch.seenAt("backup"), watch.seenAt("check")]).toEqual([undefined, at(2)]);
  expect(lost).toEqual([expect.stringContaining("backup")]);
});
