/** Starts an OpenBao in memory, which scripts/tools/openbao.ts installs, and speaks to it as its operator would. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { VaultLogin, VaultSettings } from "../../src/provider/vault/settings.ts";
import { patience } from "../support/patience.ts";

export interface OpenBao {
  readonly addr: string;
  /** As its operator: `data` of the answer, or `auth` of a login's. Throws for one that is no success. */
  call<T = Record<string, string>>(
    method: "GET" | "POST" | "DELETE",
    path: string,
    body?: object,
    namespace?: string,
  ): Promise<T>;
  seal(): Promise<void>;
  unseal(): Promise<void>;
  /** A token with this policy. */
  token(policy: string, ttl?: string): Promise<string>;
  /** A role of AppRole with this policy, and its ids. */
  appRole(name: string, options: object, namespace?: string): Promise<Extract<VaultLogin, { method: "approle" }>>;
  settings(login: VaultLogin, over?: Partial<VaultSettings>): VaultSettings;
  close(): Promise<void>;
}

const binary = join(import.meta.dirname, "..", "..", "tools", "openbao", "bin", "bao");
const root = "root";
const startMs = patience(10_000);

export async function startOpenBao(): Promise<OpenBao> {
  const port = await freePorts();
  const listen = `-dev-listen-address=127.0.0.1:${port}`;
  const args = ["server", "-dev", "-dev-no-store-token", `-dev-root-token-id=${root}`, listen];
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (text) => {
      printed += text;
    });
  }
  const addr = `http://127.0.0.1:${port}`;
  if (!(await isReady(child, addr))) {
    await ended(child);
    throw new Error(`OpenBao did not start: ${printed}`);
  }

  const call: OpenBao["call"] = async (method, path, body, namespace) => {
    const headers = { "x-vault-token": root, ...(namespace && { "x-vault-namespace": namespace }) };
    const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
    const response = await fetch(`${addr}/v1/${path}`, init);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    const answer = text === "" ? {} : JSON.parse(text);
    return answer.auth ?? answer.data ?? answer;
  };

  return {
    addr,
    call,
    async seal() {
      await call("POST", "sys/seal");
    },
    async unseal() {
      const key = /^Unseal Key: (\S+)/m.exec(printed)?.[1];
      await call("POST", "sys/unseal", { key });
      while (!(await isHealthy(addr))) await pause(20);
    },
    async token(policy, ttl = "1h") {
      return (await call("POST", "auth/token/create", { policies: [policy], ttl })).client_token!;
    },
    async appRole(name, options, namespace) {
      const path = `auth/approle/role/${name}`;
      await call("POST", path, options, namespace);
      const { role_id: roleId = "" } = await call("GET", `${path}/role-id`, undefined, namespace);
      const { secret_id: secretId } = await call("POST", `${path}/secret-id`, {}, namespace);
      return { method: "approle", mount: "approle", roleId, secretId, secretIdFile: undefined };
    },
    settings: (login, over) => ({
      name: "vault",
      addr,
      namespace: undefined,
      caFile: undefined,
      mount: "transit",
      key: "fluo",
      login,
      ...over,
    }),
    close: () => ended(child),
  };
}

/** A port whose successor is free too: OpenBao's cluster port. */
async function freePorts(): Promise<number> {
  for (;;) {
    const first = await listening(0);
    const port = portOf(first);
    const second = await listening(port + 1).catch(() => undefined);
    for (const server of [first, second]) {
      if (server !== undefined) await once(server.close(), "close");
    }
    if (second !== undefined) return port;
  }
}

async function listening(port: number): Promise<Server> {
  const server = createServer();
  await once(server.listen(port, "127.0.0.1"), "listening");
  return server;
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function isReady(child: ChildProcess, addr: string): Promise<boolean> {
  const until = performance.now() + startMs;
  while (child.exitCode === null && performance.now() < until) {
    if (await isHealthy(addr)) return true;
    await pause(20);
  }
  return false;
}

async function isHealthy(addr: string): Promise<boolean> {
  return fetch(`${addr}/v1/sys/health`).then(
    ({ status }) => status === 200,
    () => false,
  );
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill();
  await exit;
}
