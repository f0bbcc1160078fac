/** The real service as a process that can be killed: at a named step, or from here. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";
import type { StepName } from "../../src/failpoints.ts";
import { type GrpcClient, grpcClient } from "../support/running-service.ts";

export interface ServiceStart {
  env: Readonly<Record<string, string>>;
  cwd: string;
  /** How much later it is than it is. */
  days: number;
  /** Where it kills itself; counted once `armedBy`, a file, is there, or from the start. */
  killAt?: { step: StepName; nth: number; armedBy?: string } | undefined;
}

/** Of a service that is there until it is killed. */
export interface CrashClient extends GrpcClient {
  /** `127.0.0.1:port` of gRPC. */
  target: string;
  /** `http://127.0.0.1:port` */
  http: string;
}

export interface CrashService {
  /** Undefined where it ended before it served. */
  ready: Promise<CrashClient | undefined>;
  kill(): void;
  /** SIGTERM. */
  stop(): void;
  isDead(): boolean;
  ended: Promise<ServiceEnd>;
  /** Lines of its log that tell of an error. */
  errors: readonly string[];
}

export interface ServiceEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Where it killed itself. */
  step: string | undefined;
  err: string;
}

const main = join(import.meta.dirname, "..", "..", "src", "main.js");
const preloads = ["kill-at.ts", "clock.ts"].map((name) => pathToFileURL(join(import.meta.dirname, name)).href);
/** pino's number of `error`. */
const errorLevel = 50;

export function startCrashService({ env, cwd, days, killAt }: ServiceStart): CrashService {
  const child = spawn(process.execPath, [...preloads.flatMap((url) => ["--import", url]), main], {
    cwd,
    env: {
      PATH: process.env.PATH,
      FLUO_KMS_GRPC_PORT: "0",
      FLUO_KMS_HTTP_PORT: "0",
      FLUO_CRASH_DAYS: String(days),
      ...(killAt && { FLUO_CRASH_AT: `${killAt.step}:${killAt.nth}` }),
      ...(killAt?.armedBy && { FLUO_CRASH_ARMED_BY: killAt.armedBy }),
      ...env,
    },
    stdio: "pipe",
  });
  child.stdin.on("error", () => {}); // it is dead, which is told below
  const err = text(child.stderr);
  const errors: string[] = [];
  let client: CrashClient | undefined;
  const ended = once(child, "close").then(async ([code, signal]): Promise<ServiceEnd> => {
    client?.close();
    return { code, signal, step: /^killed at (.+)$/m.exec(await err)?.[1], err: await err };
  });
  const serving = new Promise<CrashClient>((resolve) => {
    let [target, http] = ["", ""];
    createInterface({ input: child.stdout }).on("line", (line) => {
      target ||= /gRPC on (127\.0\.0\.1:\d+)/.exec(line)?.[1] ?? "";
      http ||= /administration on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1] ?? "";
      if (Number(/"level":(\d+)/.exec(line)?.[1]) >= errorLevel) errors.push(line);
      if (client !== undefined || !line.includes('"msg":"serving"')) return;
      client = { ...grpcClient(target), target, http };
      resolve(client);
    });
  });
  return {
    ready: Promise.race([serving, ended.then(() => undefined)]),
    kill: () => void child.kill("SIGKILL"),
    stop: () => void child.kill("SIGTERM"),
    isDead: () => child.exitCode !== null || child.signalCode !== null,
    ended,
    errors,
  };
}
