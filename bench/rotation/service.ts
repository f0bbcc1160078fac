/** The service as a process of its own, by its command line, and what its log says of the rotation. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Batch {
  /** When it was done, in milliseconds since 1970. */
  atMs: number;
  rotated: number;
  failed: number;
  remaining: number;
}

export interface RotatingService {
  grpcPort: number;
  http: string;
  /** So far. */
  batches: readonly Batch[];
  /** Resolves with the batch that left nothing; rejects when the process ends before. */
  done: Promise<Batch>;
  stop(): Promise<void>;
}

export async function startRotating(env: Record<string, string>, execArgv: string[] = []): Promise<RotatingService> {
  const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));
  const ports = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
  const child = spawn(process.execPath, [...execArgv, main], {
    env: { PATH: process.env.PATH, ...ports, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const batches: Batch[] = [];
  const serving = Promise.withResolvers<string>();
  const done = Promise.withResolvers<Batch>();
  let grpcPort = 0;
  createInterface({ input: child.stdout }).on("line", (line) => {
    const { msg = "", time, rotated, failed, remaining } = JSON.parse(line);
    if (msg.startsWith("gRPC on ")) grpcPort = Number(/\d+$/.exec(msg)?.[0]);
    const http = /http:\/\/\S+$/.exec(msg)?.[0];
    if (http !== undefined) serving.resolve(http);
    if (msg !== "due keys rotated") return;
    const batch = { atMs: Date.parse(time), rotated, failed, remaining };
    batches.push(batch);
    if (remaining === 0) done.resolve(batch);
  });
  exited.then(() => {
    for (const each of [serving, done]) each.reject(new Error("the service ended early"));
  });
  done.promise.catch(() => {}); // it ends at last
  return {
    http: await serving.promise,
    grpcPort,
    batches,
    done: done.promise,
    async stop() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
