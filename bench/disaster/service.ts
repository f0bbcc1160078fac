/** The service and its command line as processes, and the calls that show whether keys are there. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const main = fileURLToPath(new URL("../../src/main.js", import.meta.url));

export type Env = Record<string, string>;

export interface Served {
  http: string;
  end(signal: NodeJS.Signals): Promise<void>;
}

/** Resolves once it serves; rejects, with its words, if it ends before. */
export async function serve(env: Env): Promise<Served> {
  const ports = { FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
  const child: ChildProcess = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, ...ports, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const killNow = () => void child.kill("SIGKILL");
  process.once("exit", killNow);
  const exited = once(child, "exit").finally(() => process.off("exit", killNow));
  const serving = Promise.withResolvers<string>();
  let words = "";
  child.stderr!.on("data", (text) => {
    words += text;
  });
  createInterface({ input: child.stdout! }).on("line", (line) => {
    const http = /http:\/\/[\d.:]+/.exec(line)?.[0];
    if (line.includes("Connect, health") && http !== undefined) serving.resolve(http);
  });
  exited.then(() => serving.reject(new Error(words)));
  return {
    http: await serving.promise,
    async end(signal) {
      child.kill(signal);
      await exited;
    },
  };
}

/** Runs a command; one that fails gives its words too. */
export async function command(env: Env, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const options = { env: { PATH: process.env.PATH, ...env }, maxBuffer: 2 ** 28 };
  return promisify(execFile)(process.execPath, [main, ...args], options).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, err: stderr }),
    (error) => ({ code: Number(error.code), out: String(error.stdout), err: String(error.stderr) }),
  );
}

/** A data key that was handed out: it opens as long as its tenant's key is there. */
export interface HandedOut {
  tenantId: string;
  ciphertextBlob: string;
  atMs: number;
}

async function post(http: string, method: string, body: object): Promise<Response> {
  return fetch(`${http}/fluo.kms.v1.KmsService/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(15_000),
  });
}

export async function handOut(http: string, tenantId: string): Promise<HandedOut> {
  const response = await post(http, "GenerateDataKey", { tenantId });
  const { ciphertextBlob, message } = (await response.json()) as { ciphertextBlob: string; message?: string };
  if (!response.ok) throw new Error(message);
  return { tenantId, ciphertextBlob, atMs: Date.now() };
}

export async function opens(http: string, { tenantId, ciphertextBlob }: HandedOut): Promise<boolean> {
  const response = await post(http, "DecryptDataKey", { tenantId, ciphertextBlob });
  await response.arrayBuffer();
  return response.ok;
}

/** Milliseconds until `work` gives true; a failure counts as false. */
export async function timeUntil(work: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (!(await work().catch(() => false))) await new Promise((resolve) => setTimeout(resolve, 20));
  return performance.now() - began;
}
