/** The texts of notices, for tests of what people read. */
import type { Notice } from "../../src/notices.ts";

export function textsOf(notices: readonly Notice[]): string[] {
  return notices.map(({ text }) => text);
}
