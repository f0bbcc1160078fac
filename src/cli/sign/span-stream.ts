/** What `sign` needs of a service: the terms between it and the gRPC client, and where the service is. */
import { grpcAddressFrom } from "../../config/grpc-address.ts";
import { type Option, type OptionValues, textOf, UsageError } from "../command.ts";
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

export interface Address {
  /** The address as it was given. */
  text: string;
  /** HOST:PORT */
  target: string;
  /** HOST, without brackets. */
  host: string;
  isTls: boolean;
}

const defaultAddress = "localhost:9000";

export const grpcAddressOption: Option = {
  name: "grpc-address",
  value: "HOST:PORT",
  description: `the service's gRPC address, else FLUO_KMS_GRPC_ADDR, else ${defaultAddress}; https://HOST:PORT for TLS`,
};

const form = /^(?:(https?):\/\/)?((?:\[[0-9a-f:.]+\]|[a-z0-9._-]+):\d{1,5})\/?$/i;

/** Throws UsageError for what no address is. */
export function grpcAddressOf(options: OptionValues, fromEnvironment = grpcAddressFrom()): Address {
  const given = textOf(options, "grpc-address");
  return addressAt(given ?? fromEnvironment ?? defaultAddress, given === undefined ? "FLUO_KMS_GRPC_ADDR" : undefined);
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
export function metNobody({ message }: StreamEnd): boolean {
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
  if (isTls && /certificate|altnames/i.test(reason))
    return `the certificate of ${text} is not trusted (${reason}); set NODE_EXTRA_CA_CERTS to its authority's PEM file`;
  return `no answer from ${text} (${reason}); is it the service's gRPC port, ${isTls ? "with" : "without"} TLS?`;
}
