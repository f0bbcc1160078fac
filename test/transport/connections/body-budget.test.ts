import { describe, expect, it } from "vitest";
import { bodyCost, chunkCost, createBodyBudget, slowMs } from "../../../src/transport/connections/body-budget.ts";
import type { KmsError } from "../../../src/errors.ts";

const limit = 10_000;

/** Room on a clock that the test moves, and the names of bodies that were given up. */
function roomOf() {
  const clock = { ms: 0 };
  const gaveUp: string[] = [];
  const room = createBodyBudget(() => clock.ms, limit, 0);
  const enter = (name: string) =>
    room.enter((error) => {
      expect(error).toMatchObject({ code: "OVERLOADED" });
      gaveUp.push(name);
    });
  return { clock, gaveUp, enter };
}

const overloaded = expect.objectContaining({ code: "OVERLOADED" }) as KmsError;

describe("bodies that are not whole yet", () => {
  it("share their memory, and one is refused that finds none while all are quick", () => {
    const { gaveUp, enter, clock } = roomOf();
    enter("one").take(limit - chunkCost - 1_000);
    clock.ms = slowMs - 1;
    const other = enter("other");
    other.take(1_000 - chunkCost);
    expect(() => other.take(1)).toThrow(overloaded);
    expect(gaveUp).toEqual([]);
  });

  it("are given up if they are slow, the oldest first, and no more than is needed", () => {
    const { gaveUp, enter, clock } = roomOf();
    for (const name of ["first", "second", "third"]) {
      enter(name).take(3_000 - chunkCost);
      clock.ms += 1;
    }
    clock.ms += slowMs;
    enter("quick").take(1_500 - chunkCost);
    expect(gaveUp).toEqual(["first"]);
    enter("quick too").take(4_000 - chunkCost);
    expect(gaveUp).toEqual(["first", "second"]);
  });

  it("are not given up for one that finds none all the same", () => {
    const { enter, clock, gaveUp } = roomOf();
    enter("slow").take(1_000);
    clock.ms = slowMs;
    const quick = enter("quick");
    quick.take(limit - 2 * chunkCost - 1_000);
    expect(gaveUp).toEqual([]);
    expect(() => quick.take(2_000)).toThrow(overloaded);
  });

  it("are not given up for themselves, though they are the oldest slow ones", () => {
    const { enter, clock, gaveUp } = roomOf();
    const [first, second] = [enter("first"), enter("second")];
    first.take(5_000 - chunkCost);
    second.take(5_000 - chunkCost);
    clock.ms = slowMs;
    first.take(1_000);
    expect(gaveUp).toEqual(["second"]);
    expect(() => second.take(1)).toThrow(overloaded);
    first.take(3_000);
  });

  it("count each chunk with what it costs, however little it brings", () => {
    const { enter } = roomOf();
    const body = enter("one byte at a time");
    const most = Math.floor(limit / (1 + chunkCost));
    for (let n = 0; n < most; n += 1) body.take(1);
    expect(() => body.take(1)).toThrow(overloaded);
  });

  it("are not counted any more once they have left or were given up", () => {
    const { enter, clock, gaveUp } = roomOf();
    const whole = enter("whole");
    whole.take(limit - chunkCost);
    whole.leave();
    whole.leave();
    const slow = enter("slow");
    slow.take(limit - chunkCost);
    clock.ms = slowMs;
    const next = enter("next");
    next.take(limit - chunkCost);
    expect(gaveUp).toEqual(["slow"]);
    slow.leave();
    next.leave();
    enter("another").take(limit - chunkCost);
    expect(gaveUp).toEqual(["slow"]);
  });

  it("count with what each costs itself, also before a byte of it has come", () => {
    const gaveUp: Error[] = [];
    const room = createBodyBudget(() => 0, 2 * bodyCost);
    const first = room.enter((error) => gaveUp.push(error));
    room.enter((error) => gaveUp.push(error));
    expect(() => room.enter((error) => gaveUp.push(error))).toThrow(overloaded);
    first.leave();
    room.enter((error) => gaveUp.push(error));
    expect(gaveUp).toEqual([]);
  });
});
