import { describe, expect, it } from "vitest";
import { heavyTurn, loopTurn, loopTurns } from "../../../src/runtime/turns/loop.ts";

const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Turns, and the names of those that had one, by turn of the loop. */
function logged(perTurn: number) {
  const turns = loopTurns(perTurn);
  const log: string[] = [];
  return {
    turns,
    log,
    ask: (asker: string, name = asker) => turns.take(asker, () => void log.push(name)),
    /** Names that had a turn since the last call of it. */
    had: () => log.splice(0),
  };
}

describe("turns of the loop", () => {
  it("begin at once until the turn is full, and the rest in the turns after it", async () => {
    const { turns, ask, had } = logged(2);
    for (const name of ["a1", "a2", "a3", "a4", "a5"]) ask("a", name);
    expect([had(), turns.waiting()]).toEqual([["a1", "a2"], 3]);
    await nextTurn();
    expect([had(), turns.waiting()]).toEqual([["a3", "a4"], 1]);
    await nextTurn();
    expect([had(), turns.waiting()]).toEqual([["a5"], 0]);
  });

  it("go to the askers one after the other, however much one of them asks", async () => {
    const { ask, had } = logged(1);
    for (const name of ["a1", "a2", "a3", "a4"]) ask("a", name);
    for (const name of ["b1", "b2"]) ask("b", name);
    ask("c", "c1");
    const order = had();
    for (let turn = 0; turn < 6; turn += 1) {
      await nextTurn();
      expect(had().map((name) => order.push(name))).toHaveLength(1);
    }
    expect(order).toEqual(["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
  });

  it("count work that asks again within its turn, which comes behind those that wait", async () => {
    const { turns, log, ask } = logged(2);
    turns.take("a", () => {
      log.push("a1");
      ask("a", "a2");
      ask("a", "a3");
    });
    expect(log).toEqual(["a1", "a2"]);
    ask("b", "b1");
    await nextTurn();
    expect(log).toEqual(["a1", "a2", "a3", "b1"]);
  });

  it("bound work that asks again for ever, and leave the loop to others between", async () => {
    const { turns } = logged(3);
    let [runs, stopped] = [0, false];
    const again = () => {
      runs += 1;
      if (!stopped) turns.take("a", again);
    };
    again();
    expect(runs).toBe(4); // with its first, which asked nobody
    await nextTurn();
    expect(runs).toBe(7);
    stopped = true;
    await nextTurn();
    await nextTurn();
    expect([runs, turns.waiting()]).toEqual([8, 0]);
  });

  it("are whole again in a later turn, though all were used in this one", async () => {
    const { ask, had } = logged(1);
    ask("a", "a1");
    await nextTurn();
    ask("a", "a2");
    expect(had()).toEqual(["a1", "a2"]);
    ask("b", "b1");
    expect(had()).toEqual([]);
    await nextTurn();
    expect(had()).toEqual(["b1"]);
  });
});

it("the loop's turn has one number, and the next another", async () => {
  const first = loopTurn();
  await Promise.resolve();
  expect(loopTurn()).toBe(first);
  await nextTurn();
  expect(loopTurn()).not.toBe(first);
});

it("heavy turns are one at a turn of the loop, for all askers together", async () => {
  const log: string[] = [];
  const ask = async (asker: object, name: string) => {
    await heavyTurn(asker, {});
    log.push(name);
  };
  await nextTurn(); // others of this thread may have had this one
  const [one, other] = [{}, {}];
  const all = Promise.all([ask(one, "a1"), ask(one, "a2"), ask(one, "a3"), ask(other, "b1")]);
  const order = ["a1", "a2", "b1", "a3"];
  for (let turn = 1; turn <= 4; turn += 1) {
    await Promise.resolve();
    expect(log).toEqual(order.slice(0, turn));
    await nextTurn();
  }
  await all;
});

it("an asker's heavy work goes on to its end before the next of it begins, and that of others between", async () => {
  const order: string[] = [];
  async function work(asker: string, name: string): Promise<void> {
    const own = {};
    for (let part = 1; part <= 3; part += 1) {
      await heavyTurn(asker, own);
      order.push(`${name}${part}`);
    }
  }
  await Promise.all([work("one", "a"), work("one", "b"), work("other", "c")]);
  expect(order.filter((each) => !each.startsWith("c"))).toEqual(["a1", "a2", "a3", "b1", "b2", "b3"]);
  expect(order.indexOf("c3")).toBeLessThan(order.indexOf("b2"));
});
