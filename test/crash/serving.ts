/** The service must be there without help, whatever it died at before. */
import { hungMs } from "../support/hung.ts";
import type { CrashService } from "./service.ts";
import type { Killing } from "./summary.ts";

/** Its client, once it serves. */
export async function served({ summary }: Killing, service: CrashService) {
  const startedAt = performance.now();
  const timer = setTimeout(service.kill, hungMs);
  const client = await service.ready;
  clearTimeout(timer);
  if (client === undefined) {
    const { code, signal, err } = await service.ended;
    throw new Error(`after kill ${summary.kills} the service does not start: ${code ?? signal} ${err}`);
  }
  summary.slowestStartMs = Math.max(summary.slowestStartMs, performance.now() - startedAt);
  return client;
}

export async function stopped(service: CrashService, problem: (what: string) => void): Promise<void> {
  service.stop();
  const { code, signal, err } = await service.ended;
  if (code !== 0) problem(`the service did not stop in good order: ${code ?? signal} ${err}`);
}
