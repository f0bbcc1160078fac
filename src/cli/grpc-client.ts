/**
 * SignSpans of a running service over gRPC: messages out, results in, and every way for a stream to end as one value. The only file of the
 * command line that loads gRPC, so commands that do not sign never wait for it.
 */
import { isIP } from "node:net";
import { getCACertificates, checkServerIdentity as identity, type PeerCertificate } from "node:tls";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import {
  SignMode,
  type SignSpansResponse,
  SignSpansRequestSchema,
  SignSpansResponseSchema,
} from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { KeyValue } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../gen/ts/google/rpc/status_pb.ts";
import { proxiesFor } from "./access/proxies.ts";
import type { Credentials } from "./access/credentials.ts";
import type { Attribute } from "./sign/json-spans.ts";
import type {
  Address,
  BatchAnswer,
  BatchRequest,
  SpanAnswer,
  SpanStream,
  StreamEnd,
  StreamEvents,
} from "./sign/span-stream.ts";

const path = "/fluo.kms.v1.KmsService/SignSpans";
const codeNames = new Map<number, string>(Object.entries(grpc.status).map(([name, code]) => [Number(code), name]));

/** Nothing is retried below this: a batch must keep its request_id, and only the caller knows what was answered. */
const channelOptions: grpc.ChannelOptions = {
  "grpc.enable_retries": 0,
  "grpc.service_config_disable_resolution": 1,
  // A stream of its own may meet a new process at the same address.
  "grpc.use_local_subchannel_pool": 1,
  "grpc.keepalive_time_ms": 20_000,
  "grpc.keepalive_timeout_ms": 20_000,
  // A result has more than a KB, and the default window 64 KiB.
  "grpc-node.flow_control_window": 4 * 1024 * 1024,
};

export interface Target {
  address: Address;
  shown: Credentials;
}

/** Opens a connection, and a stream on it. `ended` is called once, as the last. */
export function openSpanStream({ address, shown }: Target, { answered, drained, ended }: StreamEvents): SpanStream {
  const client = new grpc.Client(`dns:${connectedTo(address)}`, credentialsOf(address, shown), {
    ...channelOptions,
    ...proxyOf(address),
    ...serverNameOf(address),
  });
  const metadata = new grpc.Metadata();
  if (shown.token !== undefined) metadata.set("authorization", `Bearer ${shown.token.text}`);
  const stream = client.makeBidiStreamRequest<Uint8Array, SignSpansResponse>(
    path,
    (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
    (bytes) => fromBinary(SignSpansResponseSchema, bytes),
    metadata,
  );
  stream.on("data", (response: SignSpansResponse) => answered(answerOf(response)));
  stream.on("drain", drained);
  // An error is told by the status, too.
  stream.on("error", () => {});
  stream.on("status", (status: grpc.StatusObject) => {
    client.close();
    ended(endOf(status));
  });
  return {
    send: (batch) => stream.write(encode(batch)),
    end: () => stream.end(),
    cancel: () => stream.cancel(),
  };
}

/** grpc-js knows the variables by their names in small letters alone. */
function proxyOf({ host, via }: Address): grpc.ChannelOptions {
  return { "grpc.enable_http_proxy": via !== undefined || proxiesFor(host) === undefined ? 0 : 1 };
}

function connectedTo({ target, via }: Address): string {
  if (via === undefined) return target;
  return via.host.includes(":") ? `[${via.host}]:${via.port}` : `${via.host}:${via.port}`;
}

function credentialsOf({ isTls, host }: Address, { tls: { ca, certificate } }: Credentials): grpc.ChannelCredentials {
  if (!isTls) return grpc.credentials.createInsecure();
  // What other commands trust, NODE_EXTRA_CA_CERTS among it, and the system's authorities.
  const own = ca === undefined ? [] : [ca];
  const trusted = new Set([...getCACertificates("default"), ...getCACertificates("system"), ...own]);
  const verify =
    isIP(host) > 0 ? { checkServerIdentity: (_name: string, cert: PeerCertificate) => identity(host, cert) } : {};
  const [key, cert] = certificate ? [Buffer.from(certificate.key), Buffer.from(certificate.cert)] : [null, null];
  return grpc.credentials.createSsl(Buffer.from([...trusted].join("\n")), key, cert, verify);
}

/** TLS names no server by an IP address, and grpc-js would; the certificate is checked against the address all the same. */
function serverNameOf({ isTls, host, target, via }: Address): grpc.ChannelOptions {
  const authority = via === undefined ? {} : { "grpc.default_authority": target };
  if (!isTls) return authority;
  if (isIP(host) > 0) return { ...authority, "grpc.ssl_target_name_override": "address.invalid" };
  return via === undefined ? {} : { ...authority, "grpc.ssl_target_name_override": host };
}

/** The spans as they are encoded, and the other fields behind them. */
function encode({ tenantId, mode, requestId, resourceSpans }: BatchRequest): Uint8Array {
  const terms = create(SignSpansRequestSchema, {
    tenantId,
    mode: mode === "log" ? SignMode.LOG : SignMode.INDIVIDUAL,
    requestId,
    withAttributes: true,
  });
  return Buffer.concat([resourceSpans, toBinary(SignSpansRequestSchema, terms)]);
}

function answerOf({ results, batchDone, requestId }: SignSpansResponse): BatchAnswer {
  return { answers: results.map(({ result }) => spanAnswerOf(result)), isLast: batchDone, requestId };
}

function spanAnswerOf(result: SignSpansResponse["results"][number]["result"]): SpanAnswer {
  if (result.case === "signed") {
    const { attributes, leafIndex } = result.value;
    return {
      attributes: attributes.map(attributeOf),
      leafIndex: leafIndex === undefined ? undefined : Number(leafIndex),
    };
  }
  const { code = 0, field = "", message = "" } = result.value ?? {};
  return { code: nameOf(code), field, message };
}

function attributeOf({ key, value }: KeyValue): Attribute {
  return [key, value?.value.case === "stringValue" ? value.value.value : ""];
}

function nameOf(code: number): string {
  return codeNames.get(code) ?? `code ${code}`;
}

function endOf({ code, details, metadata }: grpc.StatusObject): StreamEnd {
  const told = code === grpc.status.OK ? nothing : detailsIn(metadata);
  return { code: nameOf(code), message: details, ...told };
}

const nothing: Pick<StreamEnd, "reason" | "fields"> = { reason: undefined, fields: [] };

/** Nothing where the status has no details that can be read. */
function detailsIn(metadata: grpc.Metadata): Pick<StreamEnd, "reason" | "fields"> {
  const [encoded] = metadata.get("grpc-status-details-bin");
  if (!(encoded instanceof Buffer)) return nothing;
  try {
    const { details } = fromBinary(StatusSchema, encoded);
    const fields = details.flatMap((detail) => {
      const violations = anyUnpack(detail, BadRequestSchema)?.fieldViolations ?? [];
      return violations.map(({ field, description }) => ({ field, description }));
    });
    const [reason] = details.flatMap((detail) => anyUnpack(detail, ErrorInfoSchema)?.reason ?? []);
    return { reason, fields };
  } catch {
    return nothing;
  }
}
