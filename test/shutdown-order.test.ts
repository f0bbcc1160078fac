/** The order of the end, and the time that it has at the most, with parts that never end. */
import { pino } from "pino";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { closeInBackground, shutDown } from "../src/shutdown.ts";
import { realTime } from "../src/runtime/time.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const never = () => new Promise<void>(() => {});

function parts(rest: () => Promise<void>) {
  const order: string[] = [];
  const part = (name: string) => ({ close: async () => void order.push(name) });
  // As calls that run do, it takes more turns of the loop than what follows it.
  const drain = async () => {
    for (let turn = 0; turn < 100; turn += 1) await Promise.resolve();
    order.push("servers");
  };
  const lines: string[] = [];
  const log = pino({ level: "info", base: null }, { write: (line) => void lines.push(line) });
  const ended = shutDown({
    time: realTime,
    health: { drain: () => void order.push("health") },
    background: { close: never },
    log,
    delayMs: 0,
    rewriting: part("rewriting"),
    integrity: part("integrity"),
    servers: { drain, leave: () => void order.push("leave") },
    audit: part("audit"),
    rest: async () => {
      order.push("rest");
      await rest();
    },
  });
  return { order, lines, ended };
}

it("writes audit rows first after the drain, whatever runs in the background", async () => {
  const { order, ended } = parts(async () => {});
  await ended;
  expect(order).toEqual(["health", "leave", "rewriting", "integrity", "servers", "audit", "rest"]);
});

it("ends 10 s after the drain though a part never closes, and says so", async () => {
  const { lines, ended } = parts(never);
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  await vi.advanceTimersByTimeAsync(9_999);
  expect(isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await ended;
  expect(lines.at(-1)).toContain("not everything was closed in order");
});

it("waits 4 s for work in the background, so that the rest has time", async () => {
  const closed = closeInBackground({ close: never }, realTime);
  await vi.advanceTimersByTimeAsync(4_000);
  await closed;
});
