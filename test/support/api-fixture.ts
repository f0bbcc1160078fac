/** What the tests of the API share: plain JSON over HTTP, details of Connect errors, and whether a tenant has keys. */
import type { MessageShape } from "@bufbuild/protobuf";
import { type Code, ConnectError } from "@connectrpc/connect";
import { expect } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";
import type { RunningService } from "./running-service.ts";

export interface JsonAnswer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the tests say which shape they expect
  body: any;
  headers: Headers;
}

/** A rpc as a person with curl calls it. `body` is sent as it is where it is text or bytes. */
export async function postRpc(
  url: string,
  method: string,
  body: unknown,
  headers?: Record<string, string>,
): Promise<JsonAnswer> {
  return postJson(`${url}/${KmsService.typeName}/${method}`, body, headers);
}

export async function postJson(url: string, body: unknown, headers: Record<string, string> = {}): Promise<JsonAnswer> {
  const sent = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  return answerOf(
    await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: sent as string,
    }),
  );
}

export async function getJson(url: string, headers: Record<string, string> = {}): Promise<JsonAnswer> {
  return answerOf(await fetch(url, { headers }));
}

async function answerOf(response: Response): Promise<JsonAnswer> {
  return { status: response.status, body: await response.json(), headers: response.headers };
}

export interface ConnectFailure {
  code: Code;
  message: string;
  fields: string[];
  reason: string | undefined;
}

/** The failure of a Connect or gRPC-Web call; a call that succeeds fails the test. */
export async function connectFailureOf(call: Promise<unknown>): Promise<ConnectFailure> {
  const error = await call.then(
    () => {
      throw new Error("expected the call to fail, but it succeeded");
    },
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ConnectError)) throw error;
  const [badRequest] = error.findDetails(BadRequestSchema) as MessageShape<typeof BadRequestSchema>[];
  const [info] = error.findDetails(ErrorInfoSchema) as MessageShape<typeof ErrorInfoSchema>[];
  return {
    code: error.code,
    message: error.rawMessage,
    fields: badRequest?.fieldViolations.map(({ field }) => field) ?? [],
    reason: info?.reason,
  };
}

/** Neither a public key nor a count of any key: the tenant was never given one. */
export async function expectNoKeys(kms: RunningService, tenantId: string): Promise<void> {
  expect((await kms.grpc.getPublicKeys({ tenantId })).keys).toEqual([]);
  expect((await kms.grpc.status({ tenantId })).keys).toEqual([]);
}

/** A message that a caller may see names no file, no line of code and no library. */
export function expectNoStack(message: string): void {
  expect(message).not.toMatch(/\bat \S+ \(|node_modules|file:\/\/|\.ts:\d|\.js:\d|node:internal/);
}

/** A span that signs. */
export const plainSpan = {
  traceId: Buffer.from("5b8efff798038103d269b633813fc60c", "hex"),
  spanId: Buffer.from("eee19b7ec3c1b174", "hex"),
  name: "GET /accounts",
};
