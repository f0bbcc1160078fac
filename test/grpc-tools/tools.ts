/** The real tools that speak to the service, which either asks nobody for credentials or is under a policy, and has TLS then. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import { type Role, roleOf, roles } from "../../src/call/roles.ts";
import { atExit } from "../support/cli-fixture.ts";
import { newAuthority } from "../support/pki.ts";
import { type ServiceProcess, startProcess } from "../support/service-process.ts";

declare module "vitest" {
  interface ProvidedContext {
    access: "none" | "policy";
  }
}

const bin = join(import.meta.dirname, "..", "..", "tools", "bin");

/** A service with the options by which the tools reach it. */
export interface ToolsService extends ServiceProcess {
  /** Of grpcurl, for an rpc, or for reflection where there is none. */
  grpcurlOptions(rpc?: string): string[];
  probeOptions: readonly string[];
  curlOptions: readonly string[];
  /** Whom the audit trail names. */
  caller: string;
}

export interface Result {
  code: number | null;
  out: string;
  err: string;
}

export async function startTools(env: Record<string, string> = {}): Promise<ToolsService> {
  if (inject("access") === "policy") return startUnderPolicy(env);
  const options = { probeOptions: [], curlOptions: [], caller: "anonymous" };
  return { ...(await startProcess(env, { finished: atExit })), ...options, grpcurlOptions: () => ["-plaintext"] };
}

/** What one rule may not have beside all the others. */
const apart: readonly Role[] = ["destroy", "mark-compromised"];

/** An administrator by a static token, another one for what is kept apart, and a workload by its certificate, which asks for reflection. */
async function startUnderPolicy(env: Record<string, string>): Promise<ToolsService> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-tools-"));
  const at = (name: string) => join(dir, name);
  const [server, mesh] = [newAuthority({ name: "server" }), newAuthority({ name: "mesh" })];
  const own = server.issue({ dns: ["localhost"], addresses: ["127.0.0.1"], extendedKeyUsage: ["serverAuth"] });
  const workload = mesh.issue({ uris: ["spiffe://example.org/reader"] });
  const [admin, eraser] = [newStaticToken(), newStaticToken()];
  const policy = {
    version: "1",
    certificates: [{ name: "mesh", "trust-domain": "example.org", ca: "mesh.pem" }],
    tokens: [
      { name: "admin", sha256: admin.sha256, expires: "2099-01-01" },
      { name: "eraser", sha256: eraser.sha256, expires: "2099-01-01" },
    ],
    rules: [
      { name: "admin", who: { token: "admin" }, roles: roles.filter((role) => !apart.includes(role)), tenants: "*" },
      { name: "eraser", who: { token: "eraser" }, roles: apart, tenants: "*" },
      { name: "reader", who: { spiffe: "spiffe://example.org/reader" }, roles: ["status"], tenants: "*" },
    ],
  };
  const files = {
    "policy.yaml": JSON.stringify(policy),
    "mesh.pem": mesh.pem,
    "ca.pem": server.pem,
    "own.pem": own.chain,
    "own.key": own.key,
    "reader.pem": workload.chain,
    "reader.key": workload.key,
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(at(name), text, { mode: 0o600 });
  const settings = {
    FLUO_KMS_AUTH: "policy",
    FLUO_KMS_POLICY_FILE: at("policy.yaml"),
    KMS_ROTATION_MIN_AGE: "0s",
    FLUO_KMS_TLS_CERTIFICATE: at("own.pem"),
    FLUO_KMS_TLS_KEY: at("own.key"),
  };
  const service = await startProcess({ ...settings, ...env }, { finished: atExit });
  const header = ({ token }: typeof admin) => `authorization: Bearer ${token}`;
  return {
    ...service,
    grpcurlOptions(rpc) {
      const trust = ["-cacert", at("ca.pem")];
      if (rpc === undefined) return [...trust, "-cert", at("reader.pem"), "-key", at("reader.key")];
      return [...trust, "-H", header(apart.includes(roleNeeded(rpc)) ? eraser : admin)];
    },
    probeOptions: ["-tls", "-tls-ca-cert", at("ca.pem")],
    curlOptions: ["--cacert", at("ca.pem"), "-H", header(admin)],
    caller: "token:admin",
  };
}

function roleNeeded(rpc: string): Role {
  const name = rpc.split("/").at(-1)!;
  return roleOf[`${name[0]!.toLowerCase()}${name.slice(1)}` as keyof typeof roleOf];
}

export function runTool(name: "grpcurl" | "grpc-health-probe", args: readonly string[]): Result {
  const { status, stdout, stderr } = spawnSync(join(bin, name), args, {
    encoding: "utf8",
  });
  return { code: status, out: stdout, err: stderr };
}

type Called = Pick<ToolsService, "grpc" | "grpcurlOptions">;

/** One rpc by grpcurl, with JSON in and out. Throws grpcurl's own report where the call fails. */
export function grpcurl(service: Called, rpc: string, request: object): Record<string, never> {
  const { code, out, err } = callByGrpcurl(service, rpc, request);
  if (code !== 0) throw new Error(err);
  return JSON.parse(out);
}

/** `rpc` is one of KmsService, or `KeyAdminService/ListKeys`. */
export function callByGrpcurl({ grpc, grpcurlOptions }: Called, rpc: string, request: object): Result {
  const path = rpc.includes("/") ? rpc : `KmsService/${rpc}`;
  return runTool("grpcurl", [...grpcurlOptions(rpc), "-d", JSON.stringify(request), grpc, `fluo.kms.v1.${path}`]);
}
