/** What a start that is refused for the heads file prints. */
import { expect } from "vitest";
import type { Place } from "./cli-store-fixture.ts";
import { beginProcess } from "./service-process.ts";

export async function refusedStart({ env }: Pick<Place, "env">): Promise<string> {
  const { ended, serving } = beginProcess(env, {});
  serving.catch(() => {});
  const { code, err } = await ended;
  expect(code).toBe(1);
  return err;
}

/** The digest that accepts the finding which `text` tells of. */
export function digestIn(text: string): string {
  return /accept-rollback ([0-9a-f]{64})/.exec(text)![1]!;
}
