/** Clients that are not ours, as scripts/test-callers.ts installed them: one call each, and what it was told. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fromBinary } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import type { Credential, Reached } from "./called-service.ts";

export const root = join(import.meta.dirname, "..", "..");
const bin = join(root, "tools", "bin");
export const descriptors = join(root, "gen", "descriptor.binpb");

/** How a call ended: `OK`, or the code as Go spells it, the text and the reason of ErrorInfo. */
export interface Told {
  code: string;
  text: string;
  reason?: string;
}

export interface Call {
  /** `fluo.kms.v1.KmsService/GenerateDataKey` */
  method: string;
  request: object;
  credential: Credential;
}

export type Client = (service: Reached, call: Call) => Promise<Told>;

/** Runs a command to its end, beside this process. */
export async function ran(command: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  const [program, ...args] = command;
  const child = spawn(program!, args, { stdio: ["ignore", "pipe", "pipe"] });
  const [[code], out, err] = await Promise.all([once(child, "close"), text(child.stdout), text(child.stderr)]);
  return { code, out, err };
}

/** Options of grpcurl that show a credential. */
export function grpcurlOptions({ ca }: Pick<Reached, "ca">, { certificate, key, token }: Credential): string[] {
  return [
    ...["-cacert", ca],
    ...(certificate && key ? ["-cert", certificate, "-key", key] : []),
    ...(token ? ["-H", `authorization: Bearer ${token}`] : []),
  ];
}

export function grpcurl(args: readonly string[]) {
  return ran([join(bin, "grpcurl"), ...args]);
}

const byGrpcurl: Client = async (service, { method, request, credential }) => {
  const options = [...grpcurlOptions(service, credential), "-protoset", descriptors, "-format-error"];
  const { code, err } = await grpcurl([...options, "-d", JSON.stringify(request), service.grpc, method]);
  if (code === 0) return { code: "OK", text: "" };
  const { code: status, message, details } = JSON.parse(err.slice(err.indexOf("{")));
  return toldOf(status, message, details?.[0]?.reason);
};

const codes: Record<number, string> = { 7: "PermissionDenied", 14: "Unavailable", 16: "Unauthenticated" };
const toldOf = (code: number, text: string, reason: string | undefined): Told => ({
  code: codes[code] ?? `${code}`,
  text,
  ...(reason !== undefined && { reason }),
});

/** What a program of this folder is told to call. */
export function argumentOf(service: Reached, { method, request, credential }: Call, more: object = {}): string {
  return JSON.stringify({
    address: service.grpc,
    descriptors,
    method,
    request,
    ca: service.ca,
    ...credential,
    ...more,
  });
}

export const goCaller = [join(bin, "callers")] as const;
export const pythonCaller = [
  join(root, "tools", "callers-python", "bin", "python"),
  join(import.meta.dirname, "python", "caller.py"),
] as const;

function byProgram(program: readonly string[]): Client {
  return async (service, call) => {
    const { out, err } = await ran([...program, argumentOf(service, call)]);
    if (out === "") throw new Error(err);
    return JSON.parse(out);
  };
}

/** Options of curl that show a credential. */
export function curlOptions({ ca }: Pick<Reached, "ca">, { certificate, key, token }: Credential): string[] {
  return [
    ...["--silent", "--show-error", "--cacert", ca],
    ...(certificate && key ? ["--cert", certificate, "--key", key] : []),
    ...(token ? ["--header", `authorization: Bearer ${token}`] : []),
  ];
}

const byCurl: Client = async (service, { method, request, credential }) => {
  const json = ["--header", "content-type: application/json", "--data", JSON.stringify(request)];
  const { code, out, err } = await ran([
    "curl",
    ...curlOptions(service, credential),
    ...json,
    `${service.http}/${method}`,
  ]);
  if (code !== 0) throw new Error(err);
  const answer = JSON.parse(out);
  if (answer.code === undefined) return { code: "OK", text: "" };
  const info = answer.details?.find(({ type }: { type: string }) => type === "google.rpc.ErrorInfo");
  const reason = info && fromBinary(ErrorInfoSchema, Buffer.from(info.value, "base64")).reason;
  // As Connect spells it: permission_denied.
  const name = answer.code.replace(/(?:^|_)(.)/g, (_: string, letter: string) => letter.toUpperCase());
  return { code: name, text: answer.message, ...(reason !== undefined && { reason }) };
};

export const clients: Readonly<Record<string, Client>> = {
  grpcurl: byGrpcurl,
  "grpcio of Python": byProgram(pythonCaller),
  "grpc-go": byProgram(goCaller),
  curl: byCurl,
};
