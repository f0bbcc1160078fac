/** What Validate and preflight say, on a machine that may be busy too: that keys took long. */
import { expect } from "vitest";
import type { Line } from "../../src/cli/preflight/line.ts";
import { allIsWell } from "../../src/service/kms/validate/recommendations.ts";

/** Fails unless the first recommendation says that the key path works. */
export function expectWell(recommendations: readonly string[]): void {
  expect(recommendations[0]).toBe(allIsWell);
}

/** Lines of preflight but those for which a busy machine is enough: the causes of production.process.test.ts have them, by given times. */
export function withoutSpeed(lines: readonly Line[]): Line[] {
  return lines.filter(({ id }) => id !== "cache-hit" && id !== "cache-miss-slow");
}
