/** The service as a process of its own, on a store in a file, and what it holds. Linux tells of its memory. */
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { onTestFinished } from "vitest";
import { newMasterKeyFile } from "../durable/replicas.ts";
import { type GrpcClient, grpcClient } from "../support/running-service.ts";
import { type ServiceProcess, startProcess } from "../support/service-process.ts";

export interface StreamingService extends ServiceProcess {
  kms: GrpcClient;
  held(): Promise<Held>;
}

export interface Held {
  /** MiB of JavaScript in all threads, after their garbage was collected. */
  liveMb: number;
  /** Open files and sockets. */
  handles: number;
}

export const canMeasure = existsSync("/proc/self/status");

/** Ends with the test. */
export async function startStreamingService(): Promise<StreamingService> {
  const preload = `--import=${pathToFileURL(join(import.meta.dirname, "live-threads.ts"))}`;
  const service = await startProcess({ ...environment(), NODE_OPTIONS: preload });
  const kms = grpcClient(service.grpc);
  onTestFinished(() => kms.close());
  const { pid } = service.child;
  return {
    ...service,
    kms,
    held: async () => ({ liveMb: await liveMb(service), handles: readdirSync(`/proc/${pid}/fd`).length }),
  };
}

/** As it is without anyone who looks into it. */
export function startMeasuredService(): Promise<ServiceProcess> {
  return startProcess(environment());
}

/** MiB that were resident at most. */
export function peakMb({ child }: ServiceProcess): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))![1]) / 1024;
}

function environment(): Record<string, string> {
  return {
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: newMasterKeyFile(),
    FLUO_KMS_STORE: "sqlite",
    FLUO_KMS_SQLITE_FILE: join(mkdtempSync(join(tmpdir(), "fluo-kms-streams-")), "kms.db"),
    FLUO_KMS_LOG_LEVEL: "info",
  };
}

async function liveMb({ child, log }: ServiceProcess): Promise<number> {
  const from = log.length;
  child.kill("SIGUSR2");
  for (;;) {
    const line = log.slice(from).find((each) => each.startsWith('{"liveBytes"'));
    if (line !== undefined) {
      const bytes: number[] = JSON.parse(line).liveBytes;
      return bytes.reduce((sum, each) => sum + each, 0) / 2 ** 20;
    }
    await delay(20);
  }
}
