/** The real service as processes over one store, and a gRPC client of each. */
import { tmpdir } from "node:os";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { afterAll } from "vitest";
import { postgresAvailable } from "../support/postgres-cluster.ts";
import { type SharedPostgres, sharedPostgres } from "../support/shared-postgres.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { startProcess } from "../support/service-process.ts";
import { newMasterKeyFile } from "./replicas.ts";

export const storeNames = ["sqlite", "postgres"] as const;
export type StoreName = (typeof storeNames)[number];

/** The PostgreSQL of a file. Where there is none its tests are skipped, but never in CI. */
export async function serverOfFile(): Promise<SharedPostgres | undefined> {
  if (!process.env.CI && !postgresAvailable()) return undefined;
  const server = await sharedPostgres();
  afterAll(() => server.close());
  return server;
}

/** The environment of services that share one new store; of SQLite, where there is no server. */
export async function newStore(name: StoreName, server?: SharedPostgres): Promise<Record<string, string>> {
  const settings = { FLUO_KMS_LOCAL_MASTER_KEY_FILE: newMasterKeyFile(), FLUO_KMS_STORE: name };
  if (name === "sqlite") {
    return { ...settings, FLUO_KMS_SQLITE_FILE: join(mkdtempSync(join(tmpdir(), "fluo-kms-services-")), "kms.db") };
  }
  return {
    ...settings,
    FLUO_KMS_POSTGRES_URL: await server!.createDatabase(),
    FLUO_KMS_POSTGRES_MAX_CONNECTIONS: "4",
  };
}

/** They end with the test. */
export async function startServices(count: number, env: Record<string, string>): Promise<GrpcClient[]> {
  const processes = await Promise.all(Array.from({ length: count }, () => startProcess(env)));
  return processes.map(({ client }) => client);
}
