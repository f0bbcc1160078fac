import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { ForgettingMap } from "../../src/runtime/compact-map.ts";

setFlagsFromString("--expose-gc");
const collectYoung: (options: { type: "minor" }) => void = runInNewContext("gc");

describe("ForgettingMap", () => {
  it("holds what it was given until that is deleted", () => {
    const map = new ForgettingMap<string>();
    for (const [key, value] of ["zero", "one", "two", "three"].entries()) map.set(key, value);
    expect([map.size, map.get(0), map.get(1), map.get(3), map.get(4)]).toEqual([4, "zero", "one", "three", undefined]);
    expect([map.delete(1), map.delete(1), map.get(1), map.size]).toEqual([true, false, undefined, 3]);
    expect([map.delete(3), map.get(0), map.get(2)]).toEqual([true, "zero", "two"]);
    expect(map.values().sort()).toEqual(["two", "zero"]);
    map.clear();
    expect([map.size, map.get(2), map.values()]).toEqual([0, undefined, []]);
  });

  it("is changed while it is gone through", () => {
    const map = new ForgettingMap<number>();
    for (const key of [1, 2, 3]) map.set(key, key);
    const seen: number[] = [];
    map.forEach((value) => {
      seen.push(value);
      map.delete(value);
    });
    expect([seen, map.size]).toEqual([[1, 2, 3], 0]);
  });

  it("lets young collections have what came and went, which a Map does not", async () => {
    expect(await survivors(new ForgettingMap())).toBeLessThan((await survivors(new Map())) / 4);
  });
});

/** How many values of a map in use, with twenty at a time, outlive young collections. */
async function survivors(map: { set(key: number, value: object): unknown; delete(key: number): boolean }) {
  const values: WeakRef<object>[] = [];
  for (let key = 0; key < 5_000; key += 1) {
    const value = { key };
    values.push(new WeakRef(value));
    map.set(key, value);
    map.delete(key - 20);
    if (key % 50 !== 49) continue;
    await setImmediate(); // whatever a WeakRef was made of lives until then
    collectYoung({ type: "minor" });
  }
  return values.filter((value) => value.deref() !== undefined).length;
}
