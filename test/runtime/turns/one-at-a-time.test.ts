/** Work that runs one at a time, and not often for one caller. */
import { expect, it } from "vitest";
import { createTurns } from "../../../src/runtime/turns/one-at-a-time.ts";
import { thrownBy } from "../../support/matchers.ts";
import { realTime } from "../../../src/runtime/time.ts";

const { signal } = new AbortController();

/** Work that ends when it is told to. */
function held() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const begun = Promise.withResolvers<void>();
  const state = { isBegun: false };
  const work = () => {
    state.isBegun = true;
    begun.resolve();
    return promise;
  };
  return { work, resolve, reject, begun: begun.promise, state };
}

it("lets the next begin when the one before has ended, however it ended", async () => {
  const { take } = createTurns({ time: realTime });
  const [first, second, third] = [held(), held(), held()];
  const answers = [first, second, third].map(({ work }) => take("ann", signal, work));
  await first.begun;
  expect([second.state.isBegun, third.state.isBegun]).toEqual([false, false]);
  first.reject(new Error("failed"));
  expect(await thrownBy(() => answers[0])).toMatchObject({ message: "failed" });
  await second.begun;
  expect(third.state.isBegun).toBe(false);
  second.resolve("second");
  await third.begun;
  third.resolve("third");
  expect(await Promise.all(answers.slice(1))).toEqual(["second", "third"]);
});

it("lets nobody before its turn because another has left the queue", async () => {
  const { take } = createTurns({ time: realTime });
  const [first, second, third] = [held(), held(), held()];
  const leaving = new AbortController();
  const answer = take("ann", signal, first.work);
  const left = take("bob", leaving.signal, second.work);
  const last = take("carl", signal, third.work);
  await first.begun;
  leaving.abort();
  expect(await thrownBy(() => left)).toBeKmsError("CANCELLED");
  await new Promise((resolve) => setImmediate(resolve));
  expect([second.state.isBegun, third.state.isBegun]).toEqual([false, false]);
  first.resolve("first");
  await third.begun;
  third.resolve("third");
  expect([await answer, await last]).toEqual(["first", "third"]);
  expect(second.state.isBegun).toBe(false);
});

it("tells a caller that comes too often how long to wait, and no other", async () => {
  let ms = 0;
  const { take } = createTurns({ everyMs: 10_000, time: { ...realTime, monotonicMs: () => ms } });
  const run = (by: string) => take(by, signal, async () => by);
  expect(await run("ann")).toBe("ann");
  ms = 2_000.5;
  const refusal = await thrownBy(() => run("ann"));
  expect(refusal).toBeKmsError("RATE_LIMITED", "too many calls: wait");
  expect(refusal).toMatchObject({ message: "too many calls: wait", retryAfterMs: 8_000 });
  expect(await run("bob")).toBe("bob");
  ms = 9_999;
  expect(await thrownBy(() => run("ann"))).toBeKmsError("RATE_LIMITED");
  ms = 10_000;
  expect(await run("ann")).toBe("ann"); // a refusal is no turn
  ms = 12_000;
  expect(await thrownBy(() => run("bob"))).toMatchObject({ retryAfterMs: 1 });
});

it("tells nobody so where no time is set", async () => {
  const { take } = createTurns({ time: { ...realTime, monotonicMs: () => 0 } });
  for (let n = 0; n < 3; n += 1) expect(await take("ann", signal, async () => n)).toBe(n);
});
