/** Where a service is killed: a directory of its own, a store, and how it is started there. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PostgresServer } from "../support/postgres-server.ts";
import { type Erasure, erasureOf } from "./erased.ts";
import type { StoreSettings } from "../../src/store/registry.ts";
import type { Kill, Phase } from "./plan.ts";
import type { PowerCuts } from "./power-cuts.ts";
import { type CrashService, startCrashService } from "./service.ts";
import { witnessDays } from "./witnessed.ts";

export interface Stage {
  start(options: { days: number; kill?: Kill }): CrashService;
  /** So many days pass for destructions that are scheduled. Nothing may have the store open. */
  witness(days: number): Promise<void>;
  /** From here on steps that wait for the load are counted. */
  arm(): void;
  disarm(): void;
  /** From the next start on, the provider key that was the other one is the current one. */
  swapProviderKeys(): void;
  /** Where there is a file to look into. */
  erasure: Erasure | undefined;
  close(): void;
}

/** The store is a new database on `postgres`, or, without a server, a SQLite file. With `cuts` its disk loses its power. */
export async function openStage(postgres: PostgresServer | undefined, cuts?: PowerCuts): Promise<Stage> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-crash-"));
  const disk = cuts?.path ?? dir;
  const file = join(disk, "keys.db");
  const armedBy = join(dir, "armed");
  const settings: StoreSettings = postgres
    ? { name: "postgres", url: await postgres.createDatabase(), maxConnections: 2 }
    : { name: "sqlite", file };
  const store: Record<string, string> =
    settings.name === "postgres"
      ? {
          FLUO_KMS_STORE: "postgres",
          FLUO_KMS_POSTGRES_URL: settings.url,
          // SQLite has one beside it. A start after a kill that took the store for one that was put back would fail the run.
          FLUO_KMS_AUDIT_HEADS_FILE: join(dir, "heads"),
        }
      : { FLUO_KMS_STORE: "sqlite", FLUO_KMS_SQLITE_FILE: file };
  const common = { FLUO_KMS_OTHER_PROVIDER: "local", ...caches, ...store };
  let starts = 0;
  let [current, other] = ["one", "another"].map((name) => join(disk, `${name}-master-key`)) as [string, string];
  return {
    start({ days, kill }) {
      const step = kill?.at === "step" ? kill : undefined;
      const waits = step?.phase === "load" ? { armedBy } : {};
      const killAt = step && { step: step.step, nth: step.nth, ...waits };
      const keys = { FLUO_KMS_LOCAL_MASTER_KEY_FILE: current, FLUO_KMS_OTHER_LOCAL_MASTER_KEY_FILE: other };
      starts += 1;
      const env = { ...common, ...keys, ...rotation(step?.phase), ...cuts?.env() };
      const service = startCrashService({ env, cwd: dir, days: days + starts * leaseDays, killAt });
      return cuts?.cutAfter(service) ?? service;
    },
    async witness(days) {
      await witnessDays(settings, [current, other], days);
      cuts?.keep();
    },
    arm: () => writeFileSync(armedBy, ""),
    disarm: () => rmSync(armedBy, { force: true }),
    swapProviderKeys() {
      [current, other] = [other, current];
    },
    erasure: postgres ? undefined : erasureOf(file),
    close() {
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 }); // a service that is left writes its heads file there
      cuts?.close();
    },
  };
}

/** Each service starts when the leases of the one that was killed are over: that many minutes later. */
const leaseDays = 3 / (24 * 60);

/** So short that keys are unwrapped again and again. */
const caches = { KMS_CACHE_TTL: "1s" };

/** By the clock only where that is what is to be interrupted: elsewhere keys change by what is asked for. */
function rotation(phase: Phase | undefined): Record<string, string> {
  if (phase !== "rotating") return { KMS_ROTATION_ENABLED: "false" };
  return { KMS_ROTATION_CHECK_CRON: "* * * * * ?", KMS_ROTATION_MAX_AGE_DAYS: "1", FLUO_CRASH_HASTE: "yes" };
}
