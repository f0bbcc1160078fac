/** The measured processes, seen from the one that asks them. */
import { join } from "node:path";
import { flags } from "../../src/runtime/flags.js";
import { startChild } from "../child.ts";
import { temporaryDirectory } from "../temporary.ts";
import type { BareLoops } from "./bare.ts";
import type { ServerKey } from "./empty.ts";
import type { Question } from "./serve.ts";

export interface Server {
  pid: number;
  port: number;
  /** Microseconds of CPU that the process has used. */
  cpu(): Promise<number>;
  stop(): Promise<void>;
}

export interface Service extends Server {
  httpPort(): Promise<number>;
  /** Microseconds of CPU for all turns together. */
  run(loop: keyof BareLoops, times: number): Promise<number>;
}

export interface ServiceOptions {
  /** Beside those of a store in SQLite and a master key in a file, which are gone at the end. */
  env?: Readonly<Record<string, string>>;
  execArgv?: readonly string[];
}

export function startService({ env, execArgv = [] }: ServiceOptions = {}): Promise<Service> {
  const dir = temporaryDirectory();
  const own = {
    FLUO_KMS_STORE: "sqlite",
    FLUO_KMS_SQLITE_FILE: join(dir, "kms.db"),
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "master.key"),
    FLUO_KMS_GRPC_PORT: "0",
    FLUO_KMS_HTTP_PORT: "0",
    FLUO_KMS_LOG_LEVEL: "error",
  };
  return start({ serve: "service", env: { ...own, ...env } }, [...flags, ...execArgv]);
}

/** See empty.ts. */
export function startEmpty(answerBytes: Readonly<Record<string, number>>, own?: ServerKey): Promise<Server> {
  return start({ serve: "empty", answerBytes, ...(own && { own }) });
}

/** See library.ts. */
export function startLibrary(answers: Readonly<Record<string, Uint8Array>>): Promise<Server> {
  return start({ serve: "library", answers });
}

async function start(question: Question, execArgv: readonly string[] = []): Promise<Service> {
  const child = startChild("server/serve.ts", execArgv);
  const ask = (next: Question) => child.ask<number>(next);
  const port = await ask(question);
  return {
    pid: child.pid,
    port,
    cpu: () => ask({ ask: "cpu" }),
    httpPort: () => ask({ ask: "httpPort" }),
    run: (loop, times) => ask({ run: loop, times }),
    stop: child.stop,
  };
}
