/** The service as a process of its own, on free loopback ports, and what its log says. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { type StartOptions, start } from "./cli-fixture.ts";

export type ServiceProcessOptions = Omit<StartOptions, "env">;

export interface ServiceProcess {
  child: ChildProcess;
  /** `127.0.0.1:port` of gRPC. */
  grpc: string;
  /** `http://127.0.0.1:port`, or https. */
  http: string;
  log: readonly string[];
  /** Resolves with the first line of the log that fits, past or future; rejects when the process ends without it. */
  said(pattern: RegExp): Promise<string>;
  /** Resolves when the process has ended. */
  ended: Promise<{ code: number | null; err: string }>;
}

/** `env` is all there is in the environment but PATH and the ports. The process ends with the test at the latest. */
export async function startProcess(
  env: Record<string, string> = {},
  options: ServiceProcessOptions = {},
): Promise<ServiceProcess> {
  return whenServing(start([], { ...options, env: { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0", ...env } }));
}

/** The service that `child` is, or its parent. */
export async function whenServing(child: ChildProcess): Promise<ServiceProcess> {
  const log: string[] = [];
  const looking = new Set<() => void>();
  const look = () => {
    for (const each of looking) each();
  };
  createInterface({ input: child.stdout! }).on("line", (line) => {
    log.push(line);
    look();
  });
  const err = text(child.stderr!);
  const ended = once(child, "close").then(async ([code]) => ({ code, err: await err }));
  const said = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const each = () => {
        const line = log.find((known) => pattern.test(known));
        if (line === undefined) return;
        looking.delete(each);
        resolve(line);
      };
      looking.add(each);
      each();
      ended.then(({ err }) =>
        reject(new Error(`the service ended without saying ${pattern}: ${err}${log.join("\n")}`)),
      );
    });
  const grpc = /127\.0\.0\.1:\d+/.exec(await said(/gRPC on /))![0];
  const http = /https?:\/\/127\.0\.0\.1:\d+/.exec(await said(/Connect, health/))![0];
  return { child, grpc, http, log, said, ended };
}
