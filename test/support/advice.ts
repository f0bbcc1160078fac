/** What Validate and preflight say on a machine that may be busy: that keys took long, and not that all is well. */
import { expect } from "vitest";
import type { Line } from "../../src/cli/preflight/line.ts";
import { allIsWell } from "../../src/service/kms/validate/recommendations.ts";

/** Fails unless all is well, except for the time that keys took. */
export function expectWell(recommendations: readonly string[]): void {
  if (!recommendations.some(isOfSpeed)) expect(recommendations[0]).toBe(allIsWell);
}

/** Lines of preflight but those for which a busy machine is enough: the causes of production.process.test.ts have them, by given times. */
export function withoutSpeed(lines: readonly Line[]): Line[] {
  return lines.filter(({ name, found }) => name !== "cache-hit" && !(name === "recommendation" && isOfSpeed(found)));
}

function isOfSpeed(text: string): boolean {
  return / took \d+ ms: /.test(text);
}
