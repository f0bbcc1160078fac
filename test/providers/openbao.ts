/** Starts an OpenBao in memory, which scripts/tools/openbao.ts installs, and speaks to it as its operator would. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { VaultLogin, VaultSettings } from "../../src/provider/vault/settings.ts";
import { onFreePorts } from "../support/free-ports.ts";
import { startServer } from "../support/server-program.ts";

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

export async function startOpenBao(): Promise<OpenBao> {
  const args = ["server", "-dev", "-dev-no-store-token", `-dev-root-token-id=${root}`];
  // Its cluster has the port behind.
  const { addr, server } = await onFreePorts(2, async (port) => {
    const listen = `-dev-listen-address=127.0.0.1:${port}`;
    const server = await startServer(binary, [...args, listen], { ready: /^Unseal Key: (\S+)\nRoot Token: .*\n/m });
    return { addr: `http://127.0.0.1:${port}`, server };
  });
  const [, unsealKey] = server.ready;

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
      await call("POST", "sys/unseal", { key: unsealKey });
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
    close: () => server.end(),
  };
}

async function isHealthy(addr: string): Promise<boolean> {
  return fetch(`${addr}/v1/sys/health`).then(
    ({ status }) => status === 200,
    () => false,
  );
}
