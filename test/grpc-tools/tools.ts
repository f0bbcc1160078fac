/** The real tools that speak to the service. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { ServiceProcess } from "../support/service-process.ts";
import { patience } from "../support/patience.ts";

const bin = join(import.meta.dirname, "..", "..", "tools", "bin");

type Service = Pick<ServiceProcess, "grpc">;

export interface Result {
  code: number | null;
  out: string;
  err: string;
}

export function runTool(name: "grpcurl" | "grpc-health-probe", args: readonly string[]): Result {
  const { status, stdout, stderr } = spawnSync(join(bin, name), args, {
    encoding: "utf8",
    timeout: patience(20_000),
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
