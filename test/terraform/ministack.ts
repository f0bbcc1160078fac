/** Starts ministack, which scripts/tools/ministack.ts installs, with IAM in force: everyone but its root needs a policy. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { patience } from "../support/patience.ts";

export interface Ministack {
  url: string;
  close(): Promise<void>;
}

/** Of the root of its one account. */
export const rootKey = { id: "test", secret: "test" };
export const account = "000000000000";

const python = join(import.meta.dirname, "..", "..", "tools", "ministack", "bin", "python");
const startMs = patience(30_000);

export async function startMinistack(): Promise<Ministack> {
  const port = await freePort();
  const env = {
    BIND_HOST: "127.0.0.1",
    GATEWAY_PORT: String(port),
    IOT_MTLS_ENABLED: "0", // which would listen on every address
    AUTH: "true",
    AWS_ACCESS_KEY_ID: rootKey.id,
    AWS_SECRET_ACCESS_KEY: rootKey.secret,
  };
  const child = spawn(python, [join(import.meta.dirname, "faithful_ministack.py")], { env, stdio: "pipe" });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      printed += text;
    });
  }
  const url = `http://127.0.0.1:${port}`;
  if (!(await isReady(child, url))) {
    await ended(child);
    throw new Error(`ministack did not start: ${printed}`);
  }
  return { url, close: () => ended(child) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  return port;
}

async function isReady(child: ChildProcess, url: string): Promise<boolean> {
  const until = performance.now() + startMs;
  while (child.exitCode === null && performance.now() < until) {
    const health = await fetch(`${url}/_ministack/health`).catch(() => undefined);
    if (health?.ok) return true;
    await pause(20);
  }
  return false;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill();
  await exit;
}
