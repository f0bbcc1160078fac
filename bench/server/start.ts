/** How long the command line takes until it serves, and what it holds then. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Started {
  /** To its log line about the last port. */
  ms: number;
  /** Then resident, in MiB. */
  memory: number;
}

const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));

export async function startToServing(settings: Readonly<Record<string, string>> = {}): Promise<Started> {
  const startedMs = performance.now();
  const ports = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
  const env = { ...process.env, ...ports, FLUO_KMS_LOG_LEVEL: "info", FLUO_KMS_STORE: "memory", ...settings };
  const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  for await (const line of createInterface(child.stdout)) {
    if (!line.includes("Connect, health, metrics and administration on")) continue;
    const ms = performance.now() - startedMs;
    const memory = Number(execFileSync("ps", ["-o", "rss=", "-p", String(child.pid)])) / 1024;
    child.kill("SIGTERM");
    await ended;
    return { ms, memory };
  }
  throw new Error("the service ended before it served");
}
