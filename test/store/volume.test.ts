import { mkdirSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { createLosses } from "../../src/integrity/losses.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { volumeOf } from "../../src/store/volume.ts";
import { directory } from "../support/config-fixture.ts";
import { eventually } from "../support/eventually.ts";
import { sqliteBackdoor, unlocked } from "../support/store-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

it("is that of the folder: its size, and what is free of it", async () => {
  const folder = directory();
  const volume = volumeOf(folder, realTime.monotonicMs);
  expect(volume()).toBeUndefined(); // nobody waits for it
  await eventually(() => expect(volume()).toBeDefined());
  const { freeBytes, volumeBytes } = volume()!;
  const { blocks, frsize } = statfsSync(folder);
  expect(volumeBytes).toBe(blocks * frsize);
  expect(freeBytes).toBeGreaterThan(0);
  expect(freeBytes).toBeLessThanOrEqual(volumeBytes);
});

it("is read anew by the first question after 15 s, and is gone with its folder", async () => {
  let nowMs = 0;
  const folder = join(directory(), "gone");
  mkdirSync(folder);
  const volume = volumeOf(folder, () => nowMs);
  await eventually(() => expect(volume()).toBeDefined());
  rmSync(folder, { recursive: true });
  nowMs = 14_999;
  const seen = volume();
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(volume()).toBe(seen);
  nowMs = 15_000;
  expect(volume()).toBe(seen); // it is read behind the answer
  await eventually(() => expect(volume()).toBeUndefined());
});

it("is known of a store in a file, through what refuses lost keys too, and of none in memory", async () => {
  const store = await unlocked(await sqliteBackdoor().open());
  onTestFinished(() => store.close());
  const refusing = createLosses().refusedIn(store);
  await eventually(() => expect(refusing.volume?.()?.volumeBytes).toBeGreaterThan(0));
  expect(refusing.load?.()).toEqual({ waiting: 0 });
  expect(memoryStore(realTime)).not.toHaveProperty("volume");
  expect(memoryStore(realTime)).not.toHaveProperty("load");
});
