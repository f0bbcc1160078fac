/** What a page with connect-web does, in a browser: each way by which it can call, and what it was told. */
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/ts/google/rpc/error_details_pb.ts";

export interface Asked {
  baseUrl: string;
  token: string;
}

export interface Told {
  status: string;
  sealed: string | number;
  refused: string | number;
  late: string | number;
  stream: string;
}

const ways = {
  "Connect in JSON": (baseUrl: string) => createConnectTransport({ baseUrl, useHttpGet: true }),
  Connect: (baseUrl: string) => createConnectTransport({ baseUrl, useBinaryFormat: true, useHttpGet: true }),
  "gRPC-Web": (baseUrl: string) => createGrpcWebTransport({ baseUrl }),
  "gRPC-Web in JSON": (baseUrl: string) => createGrpcWebTransport({ baseUrl, useBinaryFormat: false }),
};

async function byTransport(transport: Transport, token: string): Promise<Told> {
  const client = createClient(KmsService, transport);
  const headers = { authorization: `Bearer ${token}` };
  const field = { name: "email", value: new TextEncoder().encode("ada@example.org") };
  const encrypt = (tenantId: string, fields = 1, options: { timeoutMs?: number } = {}) =>
    client
      .encryptPii({ tenantId, fields: Array(fields).fill(field) }, { headers, ...options })
      .then(({ fields }) => fields.length, toldOf);
  return {
    status: await client.status({}, { headers }).then(({ provider }) => provider, toldOf),
    sealed: await encrypt("acme"),
    refused: await encrypt("A B"),
    // The most fields of a call: no machine seals them within a millisecond.
    late: await encrypt("acme", 1000, { timeoutMs: 1 }),
    stream: await Array.fromAsync(client.signSpans(nothing(), { headers })).then(() => "OK", toldOf),
  };
}

async function* nothing() {}

/** The code and the text, with what the details name. */
function toldOf(error: unknown): string {
  const refused = ConnectError.from(error);
  const reasons = refused.findDetails(ErrorInfoSchema).map(({ reason }) => reason);
  const fields = refused
    .findDetails(BadRequestSchema)
    .flatMap((each) => each.fieldViolations.map(({ field }) => field));
  return [refused.message, ...reasons, ...fields].join(" | ");
}

async function callByEachWay({ baseUrl, token }: Asked): Promise<Record<string, Told>> {
  const told: Record<string, Told> = {};
  for (const [way, transportTo] of Object.entries(ways)) told[way] = await byTransport(transportTo(baseUrl), token);
  return told;
}

/** The page's global scope. */
export interface WithCalls {
  callByEachWay: typeof callByEachWay;
}
Object.assign(globalThis, { callByEachWay } satisfies WithCalls);
