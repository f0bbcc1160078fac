/** The service as a process, on a fake of AWS KMS that may lie, and with clocks that a test puts forward. */
import { mkdtempSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startOutageService } from "../outage/service.ts";
import { atExit } from "../support/cli-fixture.ts";

/** Hours from the last probe until a lie is found, at most. */
export const hourAtMost = 1 + 5.5 / 60;

export async function startLyingService(given: Record<string, string> = {}) {
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-lies-")), "hours");
  let hours = 0;
  /** Puts the clocks of the service forward. */
  const later = (by: number) => {
    hours += by;
    writeFileSync(`${file}.new`, String(hours));
    renameSync(`${file}.new`, file); // it is never seen empty, which is no hour
  };
  later(0);
  const env = { FLUO_HOURS: file, KMS_PROVIDER_CHECK_INTERVAL: "1s", ...given };
  const preload = [join(import.meta.dirname, "hours.ts")];
  const service = await startOutageService({ env, preload, finished: atExit });
  return { service, later, close: service.close };
}

export function isProbe({ context }: { context: Record<string, string> }): boolean {
  return context.tenant_id === "fluo-kms-probe";
}
