/** Refusals of a backend that are final: OTLP forbids to send the same again. */
import { Code } from "@connectrpc/connect";
import type { StatusObject } from "@grpc/grpc-js";
import { detailsOf } from "../error-details.ts";
import { errorOf } from "./grpc-error.ts";

const repeatedStatuses: readonly number[] = [429, 502, 503, 504];
const repeatedCodes: readonly number[] = [
  ...[Code.Canceled, Code.DeadlineExceeded, Code.Aborted, Code.OutOfRange, Code.Unavailable, Code.DataLoss],
];
const minHttpStatus = 100;
const maxBodyLength = 500;

/** Returns what the backend said if the error of an OTLP exporter is a final refusal. An error without a code of HTTP or gRPC is none. */
export function refusalOf(error: unknown): string | undefined {
  const { code, message, data } = error as { code?: unknown; message: string; data?: unknown };
  if (typeof code !== "number") return undefined;
  if (code < minHttpStatus) return isRepeatedCode(code, error as StatusObject) ? undefined : message;
  if (repeatedStatuses.includes(code)) return undefined;
  const body = typeof data === "string" ? readable(data) : "";
  return [`${code} ${message}`, body].filter((part) => part !== "").join(": ");
}

function isRepeatedCode(code: number, status: StatusObject): boolean {
  if (code !== Code.ResourceExhausted) return repeatedCodes.includes(code);
  return status.metadata !== undefined && detailsOf(errorOf(status)).retryAfterMs !== undefined;
}

/** Returns the text in a body, and no more than 500 characters: OTLP's own bodies are protobuf. */
function readable(body: string): string {
  return body
    .replaceAll(/[\p{C}\uFFFD]+/gu, " ")
    .trim()
    .slice(0, maxBodyLength);
}
