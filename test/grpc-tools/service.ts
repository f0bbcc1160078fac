/** The real service as a process of its own on free ports, and the real tools that speak to it. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const root = join(import.meta.dirname, "..", "..");

export interface Service {
  /** host:port of gRPC. */
  grpc: string;
  /** `http://host:port` */
  http: string;
  /** Ends it as an operator would; resolves with its exit code. */
  stop(): Promise<number | null>;
}

export interface Result {
  code: number | null;
  out: string;
  err: string;
}

export async function startService(): Promise<Service> {
  const env = { PATH: process.env.PATH, FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0" };
  const child = spawn(process.execPath, [join(root, "src", "main.js")], {
    cwd: tmpdir(),
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = once(child, "close");
  const lines = createInterface({ input: child.stdout });
  const said = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      lines.on("line", (line) => pattern.test(line) && resolve(pattern.exec(line)![1]!));
      child.once("exit", () => reject(new Error(`the service ended before it said ${pattern}`)));
    });
  const [grpc, http] = await Promise.all([said(/"gRPC on ([^"]+)"/), said(/(http:\/\/127\.0\.0\.1:\d+)/)]);
  return {
    grpc,
    http,
    async stop() {
      child.kill("SIGTERM");
      return (await closed)[0];
    },
  };
}

export function runTool(name: "grpcurl" | "grpc-health-probe", args: readonly string[]): Result {
  const { status, stdout, stderr } = spawnSync(join(root, "tools", "bin", name), args, {
    encoding: "utf8",
    timeout: 20_000,
  });
  return { code: status, out: stdout, err: stderr };
}

/** One rpc by grpcurl, with JSON in and out. Throws grpcurl's own report where the call fails. */
export function grpcurl(service: Service, rpc: string, request: object): Record<string, never> {
  const { code, out, err } = callByGrpcurl(service, rpc, request);
  if (code !== 0) throw new Error(err);
  return JSON.parse(out);
}

/** `rpc` is one of KmsService, or `KeyAdminService/ListKeys`. */
export function callByGrpcurl({ grpc }: Service, rpc: string, request: object): Result {
  const path = rpc.includes("/") ? rpc : `KmsService/${rpc}`;
  return runTool("grpcurl", ["-plaintext", "-d", JSON.stringify(request), grpc, `fluo.kms.v1.${path}`]);
}
