/** What came back for a request, in gRPC's codes whatever the transport. */
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import { RpcCode, rpcCode } from "../../src/errors.ts";

export interface Answer {
  /** As the transport has it: a status of HTTP or gRPC, or how else it ended. */
  status: string;
  /** Of the failure that the log must have; undefined where there is none. */
  code: string | undefined;
  /** What must never happen. */
  problem?: string;
}

const names = new Map<number, string>(Object.entries(RpcCode).map(([name, code]) => [code, name]));

/** `status` of gRPC. */
export function grpcAnswer(status: number): Answer {
  if (status === 0) return { status: "OK", code: undefined };
  const code = names.get(status) ?? `code ${status}`;
  return { status: code, code, ...(isBug(code) && { problem: `answered ${code}` }) };
}

export interface HttpAnswer {
  status: number;
  contentType: string;
  body: Buffer;
}

/** By what its body says. A HEAD has none. */
export function httpAnswer({ status, contentType, body }: HttpAnswer, hasBody = true): Answer {
  if (contentType.startsWith("application/grpc-web"))
    return grpcAnswer(Number(/grpc-status: (\d+)/.exec(body.toString("latin1"))?.[1] ?? 2));
  if (contentType.startsWith("application/connect+"))
    return named(`${status}`, JSON.parse(body.subarray(5).toString()).error?.code);
  if (status < 400) return { status: `${status}`, code: undefined };
  return hasBody ? named(`${status}`, JSON.parse(body.toString()).code) : { status: `${status}`, code: "?" };
}

/** By the last of the frames. */
export function connectStreamAnswer(body: Buffer): Answer {
  let at = 0;
  while (body.length >= at + 5 && body[at]! < 2) at += 5 + body.readUInt32BE(at + 1);
  if (body.length < at + 5) return { status: "cut", code: undefined, problem: "the stream has no end" };
  const end = body.subarray(at + 5);
  const { error } = JSON.parse((body[at] === 3 ? unzipped(end) : end).toString());
  return error === undefined ? { status: "OK", code: undefined } : named("200", error.code);
}

/** By gzip or Brotli: the first has a magic number. */
function unzipped(bytes: Buffer): Buffer {
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : brotliDecompressSync(bytes);
}

function named(status: string, said: unknown): Answer {
  const code = canonical(String(said));
  const wrong = isBug(code) || status === "500" || status === "502";
  return { status: `${status} ${code}`, code, ...(wrong && { problem: `answered ${status} ${said}` }) };
}

/** Connect writes gRPC's names in lower case, as the other paths write ours. */
function canonical(said: string): string {
  if (said === "METHOD_NOT_ALLOWED") return "INVALID_ARGUMENT";
  const ours = rpcCode[said as keyof typeof rpcCode];
  if (ours !== undefined) return names.get(ours)!;
  const upper = said === "canceled" ? "CANCELLED" : said.toUpperCase();
  return upper in RpcCode ? upper : `code ${said}`;
}

function isBug(code: string): boolean {
  return code === "INTERNAL" || code === "DATA_LOSS" || code.startsWith("code ");
}
