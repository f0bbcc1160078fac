import { setImmediate } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { createGather } from "../../src/transport/gathered.ts";

const mebibyte = 1024 * 1024;

describe("calls that came together", () => {
  it("run in their order, once what came with them was read", async () => {
    const [gather, ran] = [createGather(), [] as string[]];
    gather(100, () => ran.push("first"));
    await Promise.resolve();
    gather(100, () => ran.push("second"));
    expect(ran).toEqual([]);
    await setImmediate();
    expect(ran).toEqual(["first", "second"]);
  });

  it("run once, and those that come meanwhile after them", async () => {
    const [gather, ran] = [createGather(), [] as string[]];
    gather(100, () => {
      ran.push("first");
      gather(100, () => ran.push("later"));
    });
    gather(100, () => ran.push("second"));
    await setImmediate();
    expect(ran).toEqual(["first", "second"]);
    await setImmediate();
    expect(ran).toEqual(["first", "second", "later"]);
    await setImmediate();
    expect(ran).toHaveLength(3);
  });

  it("do not wait past a mebibyte of requests", async () => {
    const [gather, ran] = [createGather(), [] as string[]];
    gather(mebibyte, () => ran.push("a mebibyte"));
    expect(ran).toEqual([]);
    gather(1, () => ran.push("a byte more"));
    expect(ran).toEqual(["a mebibyte", "a byte more"]);
    gather(1, () => ran.push("counted anew"));
    expect(ran).toHaveLength(2);
    await setImmediate();
    expect(ran.at(-1)).toBe("counted anew");
  });
});
