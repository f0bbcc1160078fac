/** The service as a process of its own, on free loopback ports, with what its log says and a gRPC client of it. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import { onTestFinished } from "vitest";
import { type StartOptions, start } from "./cli-fixture.ts";
import { type GrpcClient, grpcClient } from "./running-service.ts";

export interface ProcessOptions extends Omit<StartOptions, "env"> {
  /** Files of modules that each thread of the service loads before its own. */
  preload?: readonly string[];
  /** Called with each line of the log. */
  onLine?: (line: string) => void;
  /** Sent by the client with each call. */
  token?: string;
}

/** A process that may serve later, or never. */
export interface StartedProcess {
  child: ChildProcess;
  log: readonly string[];
  /** Resolves with the first line of the log that fits, past or future, from this one on; rejects when the process ends without it. */
  said(pattern: RegExp, from?: number): Promise<string>;
  /** Resolves when the process has ended. */
  ended: Promise<{ code: number | null; err: string }>;
  /** Ends the process and its client, by SIGTERM unless told otherwise, and gives the exit code: null after SIGKILL. */
  end(signal?: NodeJS.Signals): Promise<number | null>;
  /** Rejects when the process ends before it serves. */
  serving: Promise<ServiceProcess>;
}

export interface ServiceProcess extends Omit<StartedProcess, "serving"> {
  /** `127.0.0.1:port` of gRPC. */
  grpc: string;
  /** `http://127.0.0.1:port`, or https. */
  http: string;
  /** Without TLS. It connects with its first call, and is closed with the test at the latest. */
  client: GrpcClient;
}

/** `env` is all there is in the environment but PATH and the ports. The process ends with the test at the latest. */
export async function startProcess(
  env: Record<string, string> = {},
  options: ProcessOptions = {},
): Promise<ServiceProcess> {
  return beginProcess(env, options).serving;
}

/** Returns before the service serves, for a test that ends it earlier. */
export function beginProcess(
  env: Record<string, string>,
  { preload = [], flags = [], ...options }: ProcessOptions,
): StartedProcess {
  const child = start([], {
    ...options,
    flags: [...preload.map((file) => `--import=${pathToFileURL(file)}`), ...flags],
    env: { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0", ...env },
  });
  return watchProcess(child, options);
}

/** The service that `child` is, or its parent. */
export function watchProcess(
  child: ChildProcess,
  { onLine, token, finished = onTestFinished }: Pick<ProcessOptions, "onLine" | "finished" | "token"> = {},
): StartedProcess {
  const log: string[] = [];
  const looking = new Set<() => void>();
  createInterface({ input: child.stdout! }).on("line", (line) => {
    log.push(line);
    onLine?.(line);
    for (const look of looking) look();
  });
  const err = text(child.stderr!);
  const ended = once(child, "close").then(async ([code]) => ({ code, err: await err }));
  const said = (pattern: RegExp, from = 0) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const line = log.find((known, i) => i >= from && pattern.test(known));
        if (line === undefined) return;
        looking.delete(look);
        resolve(line);
      };
      looking.add(look);
      look();
      ended.then(({ err }) =>
        reject(new Error(`the service ended without saying ${pattern}: ${err}${log.join("\n")}`)),
      );
    });
  let client: GrpcClient | undefined;
  finished(() => client?.close());
  const end = async (signal: NodeJS.Signals = "SIGTERM") => {
    child.kill(signal);
    const { code } = await ended;
    client?.close();
    return code;
  };
  const started = { child, log, said, ended, end };
  const serve = async (): Promise<ServiceProcess> => {
    const grpc = /127\.0\.0\.1:\d+/.exec(await said(/gRPC on /))![0];
    const http = /https?:\/\/127\.0\.0\.1:\d+/.exec(await said(/Connect, health/))![0];
    client = grpcClient(grpc, undefined, token);
    return { ...started, grpc, http, client };
  };
  return { ...started, serving: serve() };
}
