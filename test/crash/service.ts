/** The real service as a process that can be killed: at a named step, or from here. */
import { join } from "node:path";
import type { StepName } from "../../src/failpoints.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { beginProcess, type ServiceProcess } from "../support/service-process.ts";

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

const preload = ["kill-at.ts", "clock.ts", "short-caches.ts"].map((name) => join(import.meta.dirname, name));
/** pino's number of `error`. */
const errorLevel = 50;

/** Not ended with a test: it kills itself once this process is gone. */
export function startCrashService({ env, cwd, days, killAt }: ServiceStart): CrashService {
  const errors: string[] = [];
  const { child, ended, serving, said } = beginProcess(
    {
      FLUO_CRASH_DAYS: String(days),
      ...(killAt && { FLUO_CRASH_AT: `${killAt.step}:${killAt.nth}` }),
      ...(killAt?.armedBy && { FLUO_CRASH_ARMED_BY: killAt.armedBy }),
      ...env,
    },
    {
      cwd,
      preload,
      finished() {},
      onLine(line) {
        if (Number(/"level":(\d+)/.exec(line)?.[1]) >= errorLevel) errors.push(line);
      },
    },
  );
  child.stdin!.on("error", () => {}); // it is dead, which is told below
  const serve = async () => {
    const service = await serving;
    await said(/"msg":"serving"/);
    return clientOf(service);
  };
  const ready = serve().catch(() => undefined);
  return {
    ready,
    kill: () => void child.kill("SIGKILL"),
    stop: () => void child.kill("SIGTERM"),
    isDead: () => child.exitCode !== null || child.signalCode !== null,
    ended: ended.then(async ({ code, err }) => {
      (await ready)?.close();
      return { code, signal: child.signalCode, step: /^killed at (.+)$/m.exec(err)?.[1], err };
    }),
    errors,
  };
}

function clientOf({ client, grpc, http }: ServiceProcess): CrashClient {
  return { ...client, target: grpc, http };
}
