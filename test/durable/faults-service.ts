/** The real service as a process that meets faults: how well it says it is, and how it refuses. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import { expect } from "vitest";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as Serving,
  HealthCheckResponseSchema,
} from "../../gen/ts/grpc/health/v1/health_pb.ts";
import { patience } from "./patience.ts";
import { type CallFailure, failureOf, type GrpcClient } from "../support/running-service.ts";
import { type ProcessOptions, type ServiceProcess, startProcess } from "../support/service-process.ts";

export interface FaultyService {
  process: ServiceProcess;
  client: GrpcClient;
  /** Resolves when readiness, over HTTP and gRPC alike, is as told; the process lives and says so all the while. */
  until(readiness: "UP" | "DOWN", withinMs: number): Promise<void>;
  /** What Status tells the operator, in one text. */
  notices(): Promise<string>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

export async function startFaulty(env: Record<string, string>, options: ProcessOptions): Promise<FaultyService> {
  const process = await startProcess(env, options);
  const { client } = process;

  const get = async (path: string) => (await fetch(`${process.http}${path}`)).status;
  async function serving(): Promise<Serving> {
    const request = toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema));
    return fromBinary(HealthCheckResponseSchema, await client.raw(Health.method.check, request)).status;
  }

  return {
    process,
    client,
    async until(readiness, withinMs) {
      const [http, grpc] = readiness === "UP" ? [200, Serving.SERVING] : [503, Serving.NOT_SERVING];
      const until = performance.now() + patience(withinMs);
      for (;;) {
        const [live, ready, said] = await Promise.all([get("/q/health/live"), get("/q/health/ready"), serving()]);
        expect(live).toBe(200);
        if (ready === http && said === grpc) return;
        if (performance.now() > until) throw new Error(`not ${readiness} within ${withinMs} ms: ${process.log.at(-1)}`);
        await delay(25);
      }
    },
    notices: async () => (await client.status({})).notices.join("\n"),
    async kill() {
      await process.end("SIGKILL");
    },
  };
}

/** The call fails as one that may be tried again, in time. */
export async function unavailable(call: Promise<unknown>, withinMs: number): Promise<CallFailure> {
  const beganAt = performance.now();
  const failure = await failureOf(call);
  expect(failure).toMatchObject({ code: status.UNAVAILABLE, retry: true });
  expect(performance.now() - beganAt).toBeLessThan(patience(withinMs));
  return failure;
}

export type StoreDir = ReturnType<typeof newStoreDir>;

/**
 * A SQLite store in a directory of its own, for a service that is started again and again. `dir` is of the database alone. `at` is where the database is to be, unless it is on the same disk as the master key.
 */
export function newStoreDir(finished: (end: () => void) => void, at?: string) {
  const own = mkdtempSync(join(tmpdir(), "fluo-kms-faults-store-"));
  finished(() => rmSync(own, { recursive: true, force: true }));
  const dir = at ?? join(own, "store");
  if (at === undefined) mkdirSync(dir);
  const file = join(dir, "kms.db");
  const env: Record<string, string> = {
    FLUO_KMS_STORE: "sqlite",
    FLUO_KMS_SQLITE_FILE: file,
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(own, "master.key"),
  };
  return { dir, file, env };
}
