/** Awaits what no event announces. */
import { vi } from "vitest";
import { hungMs } from "./hung.ts";

/** Returns the result of `look` as soon as it neither throws nor rejects. Its time-out is that of `expect.poll`, and means "hung". */
export function eventually<T>(look: () => T | Promise<T>, { everyMs = 50 } = {}): Promise<T> {
  return vi.waitFor(look, { timeout: hungMs, interval: everyMs });
}
