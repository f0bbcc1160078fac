/** Starts that the heads file has refused, and lives of a service around them. */
import { expect, onTestFinished } from "vitest";
import type { Place } from "./cli-store-fixture.ts";
import { startService } from "./running-service.ts";
import { beginProcess } from "./service-process.ts";

/** Returns what a start that is refused prints as its error. */
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

/** A service in this process, for a life around what a process of its own is needed for. It ends with the test at the latest. */
export async function serveHere({ env }: Pick<Place, "env">) {
  const { grpc: client, url: http, stop: end } = await startService(env);
  onTestFinished(end);
  return { client, http, end };
}

export type ServedHere = Awaited<ReturnType<typeof serveHere>>;
