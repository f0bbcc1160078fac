/** OpenBao as a server of its own: storage in memory, and an audit device or none. A file audit device cannot be had by the API. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onFreePorts } from "../../test/support/free-ports.ts";
import { startServer } from "../../test/support/server-program.ts";
import type { Server } from "../server/server.ts";
import { temporaryDirectory } from "../temporary.ts";

export interface OpenBao extends Server {
  headers: Readonly<Record<string, string>>;
  /** As its operator: `data` of the answer. */
  call<T>(path: string, body: object): Promise<T>;
}

const binary = join(import.meta.dirname, "..", "..", "tools", "openbao", "bin", "bao");

export async function startOpenBao(audit: "off" | "on"): Promise<OpenBao> {
  const dir = temporaryDirectory();
  const { port, server } = await onFreePorts(1, async (port) => {
    writeFileSync(join(dir, "bao.hcl"), configOf(port!, audit === "on" ? join(dir, "audit.log") : undefined));
    const args = ["server", `-config=${join(dir, "bao.hcl")}`];
    return { port: port!, server: await startServer(binary, args, { ready: /OpenBao server started!/ }) };
  });
  let headers = {};
  const post = async <T>(path: string, body: object) => {
    const init = { method: "POST", headers, body: JSON.stringify(body) };
    const response = await fetch(`http://127.0.0.1:${port}/v1/${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return (text === "" ? {} : JSON.parse(text)) as T;
  };
  const made = await post<{ keys: string[]; root_token: string }>("sys/init", {
    secret_shares: 1,
    secret_threshold: 1,
  });
  await post("sys/unseal", { key: made.keys[0] });
  headers = { "x-vault-token": made.root_token };
  return {
    pid: server.pid,
    port,
    headers,
    cpu: async () => cpuMicros(server.pid),
    call: async <T>(path: string, body: object) => (await post<{ data: T }>(path, body)).data,
    stop: () => server.end("SIGKILL"),
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

const microsATick = 10_000;

/** User and system time of all threads, by the kernel, to 10 ms. */
function cpuMicros(pid: number): number {
  const afterName = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)!.split(" ");
  return (Number(afterName[11]) + Number(afterName[12])) * microsATick;
}
