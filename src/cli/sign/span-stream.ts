/** What `sign` needs of a service: the terms between it and the gRPC client, and where the service is. */
import { clientEnvironment } from "../../config/client-environment.ts";
import { type Option, type OptionValues, textOf, UsageError } from "../command.ts";
import { viaOf } from "../access/connect-to.ts";
import type { Place } from "../access/token.ts";
import type { Attribute } from "./json-spans.ts";

export type Mode = "individual" | "log";

export interface BatchRequest {
  tenantId: string;
  mode: Mode;
  requestId: string;
  /** ResourceSpans as fields of an export. */
  resourceSpans: Uint8Array;
}

/** The attributes to put on a span, with its index in the log where it has one; or why it was not signed. */
export type SpanAnswer =
  | { attributes: readonly Attribute[]; leafIndex: number | undefined }
  | { code: string; field: string; message: string };

export interface BatchAnswer {
  /** Follow those of earlier answers, in the order of the batch's spans. */
  answers: SpanAnswer[];
  /** Whether it is the batch's last. */
  isLast: boolean;
  requestId: string;
}

export interface StreamEnd {
  /** A gRPC status: OK, or why the stream ended. */
  code: string;
  message: string;
  /** The service's own word for it, where it gave one. */
  reason: string | undefined;
  fields: readonly { field: string; description: string }[];
}

export interface StreamEvents {
  answered(answer: BatchAnswer): void;
  /** More can be sent after a `send` that said false. */
  drained(): void;
  ended(end: StreamEnd): void;
}

export interface SpanStream {
  /** False where nothing should follow until `drained`. */
  send(batch: BatchRequest): boolean;
  end(): void;
  cancel(): void;
}

/** `host` is without brackets. */
export interface Address extends Place {
  /** HOST:PORT */
  target: string;
}

const defaultAddress = "localhost:9000";

export const grpcAddressOption: Option = {
  name: "grpc-address",
  value: "HOST:PORT",
  description: `the service's gRPC address, else FLUO_KMS_GRPC_ADDR, else ${defaultAddress}; https://HOST:PORT for TLS`,
};

const form = /^(?:(https?):\/\/)?((?:\[[0-9a-f:.]+\]|[a-z0-9._-]+):\d{1,5})\/?$/i;

/** Throws UsageError for what no address is. */
export function grpcAddressOf(options: OptionValues, env = clientEnvironment()): Address {
  const given = textOf(options, "grpc-address");
  const address = addressAt(
    given ?? env.grpcAddress ?? defaultAddress,
    given === undefined ? "FLUO_KMS_GRPC_ADDR" : undefined,
  );
  return { ...address, via: viaOf(options, { ...env, connectTo: undefined }) };
}

/** `origin` is where the text comes from. Throws UsageError that names it. */
export function addressAt(text: string, origin = "--grpc-address"): Address {
  const [, scheme, target] = form.exec(text) ?? [];
  if (target === undefined)
    throw new UsageError(`${origin} must be an address such as ${defaultAddress}, or https://HOST:PORT for TLS`);
  const host = target.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  return { text, target, host, isTls: scheme?.toLowerCase() === "https" };
}

/*
 * grpc-js tells of a stream's end by a status and text alone: neither the system's code nor whether there ever was a connection is beside
 * them. The three functions below are the only ones of the command line that read its words.
 */

/** Whether the stream was cut, under whatever status. */
export function wasCut({ message }: StreamEnd): boolean {
  return /RST_STREAM|Connection dropped|Stream ended|stream closed/i.test(message);
}

/** Whether there was no connection that the stream could have gone over. */
export function hadNoConnection({ message }: StreamEnd): boolean {
  return /No connection established|Name resolution failed/.test(message);
}

/** What to do about a stream that met no service. */
export function whyUnreachable({ text, isTls }: Address, details: string): string {
  const last = /Last error: (.*?)(?: \([\d:TZ.-]+\))?\. Resolution note/.exec(details)?.[1] ?? details;
  const reason = last.replace(/^Error(?: \[\w+\])?: /, "");
  if (reason.includes("ECONNREFUSED"))
    return `nothing listens at ${text}; start the service with "fluo-kms serve" or name another with --grpc-address`;
  if (/ENOTFOUND|EAI_AGAIN|Name resolution failed/.test(reason))
    return `the host of ${text} is not known; name another with --grpc-address`;
  if (isTls && /altnames/i.test(reason))
    return `the certificate of ${text} is not trusted (${reason}); name the service with --grpc-address as its certificate does`;
  if (isTls && /certificate/i.test(reason))
    return `the certificate of ${text} is not trusted (${reason}); name its authority's PEM file with --ca-cert, or in NODE_EXTRA_CA_CERTS`;
  return `no answer from ${text} (${reason}); is it the service's gRPC port, ${isTls ? "with" : "without"} TLS?`;
}
