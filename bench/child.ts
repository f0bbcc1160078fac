/** A measured process, seen from the one that loads it. */
import { type ChildProcess, execFileSync, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { BareLoops } from "./bare.ts";
import type { Question, Start } from "./serve.ts";

export interface Child {
  port: number;
  /** Microseconds of CPU that the process has used. */
  cpu(): Promise<number>;
  /** Microseconds of CPU for all turns together. */
  run(loop: keyof BareLoops, times: number): Promise<number>;
  stop(): Promise<void>;
}

export async function startChild(start: Start, execArgv: string[] = []): Promise<Child> {
  const child = fork(path("serve.ts"), { execArgv });
  const port = await ask(child, start);
  return {
    port,
    cpu: () => ask(child, { ask: "cpu" }),
    run: (loop, times) => ask(child, { run: loop, times }),
    async stop() {
      const ended = once(child, "exit");
      child.send({ ask: "stop" } satisfies Question);
      await ended;
    },
  };
}

/** One question at a time. */
async function ask(child: ChildProcess, question: Question): Promise<number> {
  child.send(question);
  const ended = new AbortController();
  const [answer] = await Promise.race([
    once(child, "message", { signal: ended.signal }),
    once(child, "exit", { signal: ended.signal }).then(() => {
      throw new Error("the measured process ended");
    }),
  ]).finally(() => ended.abort());
  return answer as number;
}

/** Of a process that runs the command line. */
export interface Started {
  /** To its log line about the last port. */
  ms: number;
  /** Then resident, in MiB. */
  memory: number;
}

export async function startToServing(settings: Readonly<Record<string, string>> = {}): Promise<Started> {
  const startedMs = performance.now();
  const ports = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
  const env = { ...process.env, ...ports, FLUO_KMS_LOG_LEVEL: "info", FLUO_KMS_STORE: "memory", ...settings };
  const child = spawn(process.execPath, [path("../src/main.ts")], { env, stdio: ["ignore", "pipe", "inherit"] });
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

function path(relative: string): string {
  return fileURLToPath(new URL(relative, import.meta.url));
}
