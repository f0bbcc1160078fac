/** One call of a rpc on either port, and what its caller is told. */
import type { Agent } from "node:https";
import { create, type DescMethod, fromBinary, toJson } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import { plainSpan } from "./api-fixture.ts";
import { type ClientCertificate, failureOf, type GrpcClient, type TlsService } from "./running-service.ts";
import type { Json } from "./signed-tokens.ts";
import { accepted, type ToldTwice } from "./told.ts";

export interface Shown {
  /** Of the headers `authorization`, as they are sent. */
  authorization?: string | undefined;
  certificate?: ClientCertificate | undefined;
  headers?: Record<string, string>;
}

type UnaryName = Exclude<keyof typeof KmsService.method, "signSpans">;
/** A rpc of KmsService by its name, or any. */
export type Rpc = UnaryName | DescMethod;

export interface Called {
  told: ToldTwice["http"];
  /** As JSON; undefined where the call is refused. */
  answer: Json | undefined;
  /** The refusal's body, or details, as they came. */
  refusal: string;
}

export function requestFor(rpc: Rpc, request: Json) {
  const method: DescMethod = typeof rpc === "string" ? KmsService.method[rpc] : rpc;
  const span = method === KmsService.method.signSpan ? { span: plainSpan } : {};
  const tenant = "tenantId" in method.input.field ? { tenantId: "acme" } : {};
  return [method, create(method.input, { ...tenant, ...span, ...request })] as const;
}

export async function byGrpc(
  client: GrpcClient,
  method: DescMethod,
  request: Uint8Array,
  shown: Shown,
): Promise<Called> {
  const { authorization, headers } = shown;
  const metadata = new grpc.Metadata();
  if (authorization !== undefined) metadata.set("authorization", authorization);
  for (const [name, value] of Object.entries(headers ?? {})) metadata.set(name, value);
  const asked = client.raw(method, request, {}, metadata);
  const error = await asked.then(
    () => undefined,
    (thrown: grpc.ServiceError) => thrown,
  );
  const rest = { status: 0, challenge: undefined, connection: undefined };
  if (error === undefined) {
    const answer = toJson(method.output, fromBinary(method.output, await asked)) as Json;
    return { told: { ...accepted.grpc, ...rest }, answer, refusal: "" };
  }
  const { code, reason, message } = await failureOf(asked);
  const refusal = Buffer.from(error.metadata.get("grpc-status-details-bin")[0] ?? "").toString("latin1");
  return { told: { code: grpc.status[code]!, reason, message, ...rest }, answer: undefined, refusal };
}

interface Kept {
  service: TlsService;
  /** Keeps connections, as a client does: it does not ask for their end. */
  agent: Agent;
}

/** A failure as Connect writes it. */
interface ConnectError {
  code: string;
  message: string;
  details?: { type: string; value: string }[];
}

export async function byHttp(
  { service, agent }: Kept,
  { parent, name }: DescMethod,
  body: string,
  shown: Shown,
): Promise<Called> {
  const { authorization, certificate, headers } = shown;
  const answer = await service.http(`/${parent.typeName}/${name}`, {
    method: "POST",
    body,
    agent,
    headers: { "content-type": "application/json", ...(authorization !== undefined && { authorization }), ...headers },
    ...(certificate && { certificate }),
  });
  const { status } = answer;
  const { "www-authenticate": challenge, connection } = answer.headers;
  const closes = connection === "close" ? connection : undefined;
  const rest = { status, challenge: challenge?.toString(), connection: closes };
  if (status === 200) {
    return { told: { ...accepted.http, ...rest }, answer: JSON.parse(answer.body) as Json, refusal: "" };
  }
  const error = JSON.parse(answer.body) as ConnectError;
  const info = error.details?.find(({ type }) => type === "google.rpc.ErrorInfo");
  const reason = info && fromBinary(ErrorInfoSchema, Buffer.from(info.value, "base64")).reason;
  const told = { code: error.code.toUpperCase(), reason, message: error.message, ...rest };
  return { told, answer: undefined, refusal: answer.body };
}
