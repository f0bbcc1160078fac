import { describe, expect, it } from "vitest";
import { createFairTurns, type FairTurns } from "../../../src/runtime/turns/fair.ts";

const full = () => new Error("full");

/** Work that ends when the test says so; `log` has who had a turn, in order. */
function controlled(turns: FairTurns) {
  const log: string[] = [];
  const ends: (() => void)[] = [];
  return {
    log,
    ask(asker: string, name = asker): Promise<string> {
      return turns.run(asker, async () => {
        log.push(name);
        await new Promise<void>((end) => ends.push(end));
        return name;
      });
    },
    /** Ends the work that began first. */
    async end(): Promise<void> {
      ends.shift()!();
      await new Promise<void>((resolve) => setImmediate(resolve));
    },
  };
}

describe("turns", () => {
  it("let some work at once, and the others wait", async () => {
    const { ask, end, log } = controlled(createFairTurns({ atOnce: 2, maxWaiting: 9, full }));
    const all = ["a", "b", "c", "d"].map((name) => ask(name));
    expect(log).toEqual(["a", "b"]);
    await end();
    expect(log).toEqual(["a", "b", "c"]);
    await end();
    await end();
    await end();
    expect(await Promise.all(all)).toEqual(["a", "b", "c", "d"]);
    const more = [ask("e"), ask("f"), ask("g")];
    expect(log.slice(4)).toEqual(["e", "f"]);
    await end();
    await end();
    await end();
    expect(await Promise.all(more)).toEqual(["e", "f", "g"]);
  });

  it("go from asker to asker, in the order of each", async () => {
    const { ask, end, log } = controlled(createFairTurns({ atOnce: 1, maxWaiting: 9, full }));
    const names = ["a1", "a2", "a3", "a4", "b1", "c1", "b2"];
    const all = names.map((name) => ask(name[0]!, name));
    for (const _ of names) await end();
    await Promise.all(all);
    expect(log).toEqual(["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
  });

  it("go on when work fails", async () => {
    const turns = createFairTurns({ atOnce: 1, maxWaiting: 9, full });
    const failing = turns.run("a", () => Promise.reject(new Error("broken")));
    const next = turns.run("a", async () => "next");
    await expect(failing).rejects.toThrow("broken");
    expect(await next).toBe("next");
    await expect(turns.run("a", () => Promise.reject(new Error("again")))).rejects.toThrow("again");
    expect(await turns.run("a", async () => "last")).toBe("last");
  });

  it("are refused where all places are taken and nobody has more of them", async () => {
    const { ask, end, log } = controlled(createFairTurns({ atOnce: 1, maxWaiting: 2, full }));
    const all = [ask("a"), ask("a", "a2"), ask("b")];
    await expect(ask("c")).rejects.toThrow("full");
    await expect(ask("a")).rejects.toThrow("full");
    await end();
    const late = ask("c");
    for (const _ of "abc") await end();
    expect(await Promise.all([...all, late])).toEqual(["a", "a2", "b", "c"]);
    expect(log).toEqual(["a", "a2", "b", "c"]);
  });

  it("are taken from whoever has most places, its last, for one with fewer", async () => {
    const { ask, end } = controlled(createFairTurns({ atOnce: 1, maxWaiting: 5, full }));
    const flood = ["a1", "a2", "a3", "a4"].map((name) => ask("a", name));
    const small = [ask("b", "b1"), ask("b", "b2")];
    const other = ask("c");
    await expect(flood[3]).rejects.toThrow("full");
    await expect(ask("a", "a5")).rejects.toThrow("full");
    for (const _ of "123456") await end();
    expect(await Promise.all([...flood.slice(0, 3), ...small, other])).toEqual(["a1", "a2", "a3", "b1", "b2", "c"]);
    // All places are free again.
    const more = ["a", "a", "a", "a", "a", "a"].map((name) => ask(name));
    for (const _ of more) await end();
    expect(await Promise.all(more)).toHaveLength(6);
  });
});
