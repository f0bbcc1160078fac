import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { ForgettingMap } from "../src/forgetting-map.ts";

setFlagsFromString("--expose-gc");
const collectYoung: (options: { type: "minor" }) => void = runInNewContext("gc");

describe("ForgettingMap", () => {
  it("holds what it was given until that is deleted", () => {
    const map = new ForgettingMap<number, string>().set(1, "a").set(2, "b").set(1, "c");
    const entries: [number, string][] = [];
    map.forEach((value, key) => {
      entries.push([key, value]);
    });
    expect(entries).toEqual([
      [1, "c"],
      [2, "b"],
    ]);
    expect([...map.values()]).toEqual(["c", "b"]);
    expect([map.size, map.get(1), map.get(3)]).toEqual([2, "c", undefined]);
    expect([map.delete(1), map.delete(1), map.get(1), map.size]).toEqual([true, false, undefined, 1]);
    map.clear();
    expect([map.size, map.get(2)]).toEqual([0, undefined]);
  });

  it("lets young collections have what came and went, which a Map does not", async () => {
    expect(await survivors(new ForgettingMap())).toBeLessThan((await survivors(new Map())) / 4);
  });
});

/** How many values of a map in use, with a hundred at a time, outlive young collections. */
async function survivors(map: { set(key: number, value: object): unknown; delete(key: number): boolean }) {
  const values: WeakRef<object>[] = [];
  for (let key = 0; key < 5_000; key += 1) {
    const value = { key };
    values.push(new WeakRef(value));
    map.set(key, value);
    map.delete(key - 100);
    if (key % 50 !== 49) continue;
    await setImmediate(); // whatever a WeakRef was made of lives until then
    collectYoung({ type: "minor" });
  }
  return values.filter((value) => value.deref() !== undefined).length;
}
