import { expect, it } from "vitest";
import { runInTurn, type Task } from "../../scripts/tools/in-turn.ts";

it("runs as many beside each other as it may, in their order", async () => {
  const started: number[] = [];
  let running = 0;
  let most = 0;
  const tasks = [0, 1, 2, 3, 4].map((number): Task<number> => {
    const run = async () => {
      started.push(number);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return number;
    };
    return { run };
  });
  expect(new Set(await runInTurn(tasks, 2))).toEqual(new Set([0, 1, 2, 3, 4]));
  expect(started).toEqual([0, 1, 2, 3, 4]);
  expect(most).toBe(2);
});

it("runs what is ready before what is not", async () => {
  const first = Promise.withResolvers<void>();
  const order: string[] = [];
  const task = (name: string, ready?: Promise<void>): Task<void> => ({ ready, run: async () => void order.push(name) });
  const last: Task<void> = { run: async () => first.resolve() };
  await runInTurn([task("needs something", first.promise), task("needs nothing"), last], 1);
  expect(order).toEqual(["needs nothing", "needs something"]);
});

it("runs nothing beside what runs alone", async () => {
  const order: string[] = [];
  const task = (name: string, alone: boolean): Task<void> => {
    const run = async () => {
      order.push(`${name} starts`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`${name} ends`);
    };
    return { alone, run };
  };
  await runInTurn([task("a", false), task("b", true), task("c", false)], 3);
  expect(order).toEqual(["a", "b", "c"].flatMap((name) => [`${name} starts`, `${name} ends`]));
});

it("fails as a task fails", async () => {
  const failing: Task<void> = { run: () => Promise.reject(new Error("broken")) };
  await expect(runInTurn([failing], 3)).rejects.toThrow("broken");
});
