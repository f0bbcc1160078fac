import { describe, expect, it } from "vitest";
import { realTime } from "../../src/runtime/time.ts";
import { createBudget } from "../../src/transport/budget.ts";
import { thrownBy } from "../support/matchers.ts";

/** A call that runs until `end` is called. */
function running() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  return { promise, end: () => resolve("done"), fail: () => reject(new Error("failed")) };
}

describe("a budget", () => {
  it("holds what fits exactly, and gives the call's answer", async () => {
    const budget = createBudget(realTime, 10);
    const call = running();
    const held = budget.hold(10, () => call.promise);
    expect(budget.calls()).toBe(1);
    call.end();
    expect(await held).toBe("done");
    expect(budget.calls()).toBe(0);
    expect(budget.hold(10, () => "at once")).toBe("at once");
  });

  it("tells what calls and streams hold together, and what they may", async () => {
    const budget = createBudget(realTime, 100);
    expect([budget.heldBytes(), budget.limit]).toEqual([0, 100]);
    const call = running();
    const held = budget.hold(10, async (grow) => {
      grow(5);
      return call.promise;
    });
    budget.streams.count(20);
    expect(budget.heldBytes()).toBe(35);
    call.end();
    await held;
    expect(budget.heldBytes()).toBe(20);
    budget.streams.count(-20);
    expect(budget.heldBytes()).toBe(0);
  });

  it("refuses one byte more, without calling", async () => {
    const budget = createBudget(realTime, 10);
    const call = running();
    const held = budget.hold(9, () => call.promise);
    let called = false;
    const refused = await thrownBy(() =>
      budget.hold(2, () => {
        called = true;
      }),
    );
    expect(refused).toBeKmsError("OVERLOADED");
    expect([called, budget.calls()]).toEqual([false, 1]);
    call.end();
    await held;
    expect(budget.hold(10, () => "fits again")).toBe("fits again");
  });

  it("gives back what a call held that threw, rejected or was refused half-way", async () => {
    const budget = createBudget(realTime, 10);
    const boom = () => {
      throw new Error("boom");
    };
    expect(await thrownBy(() => budget.hold(10, boom))).toMatchObject({ message: "boom" });
    const call = running();
    const held = budget.hold(10, () => call.promise);
    call.fail();
    expect(await thrownBy(() => held)).toMatchObject({ message: "failed" });
    expect(await thrownBy(() => budget.hold(4, async (grow) => grow(7)))).toBeKmsError("OVERLOADED");
    expect(budget.calls()).toBe(0);
    expect(budget.hold(10, () => "fits")).toBe("fits");
  });

  it("counts what a call grows by until it ends", async () => {
    const budget = createBudget(realTime, 10);
    const call = running();
    const held = budget.hold(0, (grow) => {
      for (let piece = 0; piece < 3; piece += 1) grow(3);
      return call.promise;
    });
    expect(await thrownBy(() => budget.hold(2, () => {}))).toBeKmsError("OVERLOADED");
    expect(budget.hold(1, () => "fits")).toBe("fits");
    call.end();
    await held;
    expect(budget.hold(10, () => "fits")).toBe("fits");
  });

  it("counts calls of no bytes, and never refuses them", () => {
    const budget = createBudget(realTime, 0);
    expect(budget.hold(0, () => budget.calls())).toBe(1);
    expect(budget.calls()).toBe(0);
  });
});
