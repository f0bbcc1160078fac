/** A clock that jumps, for code that reads `performance.now` itself. */
import { vi } from "vitest";

export interface JumpingClock {
  /** How far `performance.now` is ahead. */
  aheadMs: number;
  restore(): void;
}

/** Takes the place of `performance.now`, or of a fake of it. */
export function jumpingClock(): JumpingClock {
  const now = performance.now.bind(performance);
  const clock = { aheadMs: 0, restore: () => spy.mockRestore() };
  const spy = vi.spyOn(performance, "now").mockImplementation(() => now() + clock.aheadMs);
  return clock;
}
