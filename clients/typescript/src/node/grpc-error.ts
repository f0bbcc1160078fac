/** grpc-js's errors as those of every other client of this package. */
import { fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Metadata, StatusObject } from "@grpc/grpc-js";
import { StatusSchema } from "../messages.ts";

/** A status that is not OK. Its details are those that `detailsOf` and `findDetails` read; those that cannot be read are left out. */
export function errorOf({ code, details, metadata }: Partial<StatusObject>, cause?: unknown): ConnectError {
  const known = code !== undefined && code >= Code.Canceled && code <= Code.Unauthenticated ? code : Code.Unknown;
  const error = new ConnectError(details ?? "", known as Code, headersOf(metadata), undefined, cause);
  const [encoded] = metadata?.get("grpc-status-details-bin") ?? [];
  if (encoded instanceof Uint8Array) error.details = detailsIn(encoded);
  return error;
}

/** An error of a call: grpc-js gives statuses as errors, and others are passed on. */
export function callError(error: unknown): unknown {
  return error instanceof Error && "code" in error && "metadata" in error
    ? errorOf(error as unknown as StatusObject, error)
    : error;
}

export function headersOf(metadata: Metadata | undefined): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(metadata?.getMap() ?? {}))
    headers.append(name, typeof value === "string" ? value : value.toString("base64"));
  return headers;
}

function detailsIn(encoded: Uint8Array): ConnectError["details"] {
  try {
    return fromBinary(StatusSchema, encoded).details.map(({ typeUrl, value }) => ({
      type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
      value,
    }));
  } catch {
    return [];
  }
}
