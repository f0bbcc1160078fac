/** OpenBao as a server of its own: storage in memory, and an audit device or none. A file audit device cannot be had by the API. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Server } from "../server/server.ts";
import { temporaryDirectory } from "../temporary.ts";

export interface OpenBao extends Server {
  headers: Readonly<Record<string, string>>;
  /** As its operator: `data` of the answer. */
  call<T>(path: string, body: object): Promise<T>;
}

const binary = join(import.meta.dirname, "..", "..", "tools", "openbao", "bin", "bao");
const startMs = 10_000;

export async function startOpenBao(audit: "off" | "on"): Promise<OpenBao> {
  const dir = temporaryDirectory();
  const port = await freePort();
  writeFileSync(join(dir, "bao.hcl"), configOf(port, audit === "on" ? join(dir, "audit.log") : undefined));
  const child = spawn(binary, ["server", `-config=${join(dir, "bao.hcl")}`], { stdio: "ignore" });
  const ended = once(child, "exit");
  let headers = {};
  const post = async <T>(path: string, body: object) => {
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    const response = await fetch(`http://127.0.0.1:${port}/v1/${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return (text === "" ? {} : JSON.parse(text)) as T;
  };
  await listening(child, port);
  const made = await post<{ keys: string[]; root_token: string }>("sys/init", {
    secret_shares: 1,
    secret_threshold: 1,
  });
  await post("sys/unseal", { key: made.keys[0] });
  headers = { "x-vault-token": made.root_token };
  return {
    pid: child.pid!,
    port,
    headers,
    cpu: async () => cpuMicros(child.pid!),
    call: async <T>(path: string, body: object) => (await post<{ data: T }>(path, body)).data,
    async stop() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** Without limits that are tighter than what is measured: a thousand fields and what each is bound to are two thousand strings. */
function configOf(port: number, auditFile: string | undefined): string {
  const audit = `audit "file" "to-file" {\n  options = { file_path = "${auditFile}" }\n}\n`;
  return `disable_clustering = true
storage "inmem" {}
listener "tcp" {
  address = "127.0.0.1:${port}"
  tls_disable = true
  max_request_json_strings = 10000
}
${auditFile === undefined ? "" : audit}`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  await once(server.close(), "close");
  return port;
}

async function listening(child: ChildProcess, port: number): Promise<void> {
  const until = performance.now() + startMs;
  while (child.exitCode === null && performance.now() < until) {
    const answer = await fetch(`http://127.0.0.1:${port}/v1/sys/health`).catch(() => undefined);
    if (answer !== undefined) return;
    await pause(20);
  }
  throw new Error("OpenBao did not start");
}

const microsATick = 10_000;

/** User and system time of all threads, by the kernel, to 10 ms. */
function cpuMicros(pid: number): number {
  const afterName = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
  return (Number(afterName[11]) + Number(afterName[12])) * microsATick;
}
