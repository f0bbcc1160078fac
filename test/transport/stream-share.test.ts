import { describe, expect, it } from "vitest";
import { realTime } from "../../src/runtime/time.ts";
import { createStreamShare } from "../../src/transport/stream-share.ts";

function setUp(limit = 10) {
  const calls = { held: 0 };
  const share = createStreamShare({ limit, room: () => 2 * limit - calls.held, time: realTime });
  const admitted: string[] = [];
  const wish = (name: string, bytes: number) => ({ bytes, admit: () => void admitted.push(name) });
  return { share, calls, admitted, wish };
}

describe("the share of streams", () => {
  it("has room until it is full, and says so at once", () => {
    const { share, wish, admitted } = setUp();
    expect([share.ask(wish("a", 6)), share.ask(wish("b", 4)), share.ask(wish("c", 1))]).toEqual([true, true, false]);
    expect([share.held(), admitted]).toEqual([10, []]);
  });

  it("lets in who waits as soon as there is room, in the order of asking", () => {
    const { share, wish, admitted } = setUp();
    share.ask(wish("a", 8));
    share.ask(wish("large", 9));
    // It would fit, but the large one would wait for ever behind its like.
    expect(share.ask(wish("small", 1))).toBe(false);
    share.count(-6);
    expect(admitted).toEqual([]);
    share.count(-2);
    expect([share.held(), admitted]).toEqual([10, ["large", "small"]]);
  });

  it("lets in any number one after the other, where each gives its room back at once", () => {
    const { share } = setUp();
    share.count(10);
    let admitted = 0;
    for (let each = 0; each < 20_000; each += 1) {
      const admit = () => {
        admitted += 1;
        share.count(-10);
      };
      expect(share.ask({ bytes: 10, admit })).toBe(false);
    }
    share.count(-10);
    expect([admitted, share.held()]).toEqual([20_000, 0]);
  });

  it("goes on to the next when one withdraws", () => {
    const { share, wish, admitted } = setUp();
    share.ask(wish("a", 8));
    const large = wish("large", 9);
    share.ask(large);
    share.ask(wish("small", 1));
    share.withdraw(large);
    expect(admitted).toEqual(["small"]);
  });

  it("is less while calls hold more than their half, and grows again when they are answered", () => {
    const { share, calls, wish, admitted } = setUp();
    calls.held = 15;
    share.ask(wish("a", 1));
    expect(share.ask(wish("b", 5))).toBe(false);
    calls.held = 0;
    share.admit();
    expect(admitted).toEqual(["b"]);
  });

  it("takes a message that is larger than itself, where there is no other", () => {
    const { share, wish, admitted } = setUp();
    expect(share.ask(wish("huge", 30))).toBe(true);
    expect(share.ask(wish("next", 0))).toBe(false);
    share.count(-30);
    expect([share.held(), admitted]).toEqual([0, ["next"]]);
  });

  it("gives each stream beyond one message the less, the more streams hold something", () => {
    const { share } = setUp(800);
    expect(share.forEach()).toBe(200);
    share.holders(1);
    expect(share.forEach()).toBe(200);
    share.holders(1);
    expect(share.forEach()).toBe(100);
    share.holders(-1);
    expect(share.forEach()).toBe(200);
  });

  it("overflows where what is there is more than both halves", () => {
    const { share } = setUp();
    share.count(20);
    expect(share.overflows()).toBe(false);
    share.count(1);
    expect(share.overflows()).toBe(true);
  });

  it("says how long the first has waited that still waits", () => {
    const { share, wish } = setUp();
    expect(share.waitedMs()).toBe(0);
    share.ask(wish("a", 10));
    const waiting = wish("b", 1);
    share.ask(waiting);
    expect(share.waitedMs()).toBeGreaterThan(0);
    share.withdraw(waiting);
    expect(share.waitedMs()).toBe(0);
  });
});
