/**
 * Attack 65: an `authorization` that nghttp2 finds invalid is not handed to Node, which has no event for it. A gateway with a certificate of its
 * own that passes its user's header on then acts as itself, unless a rule demands a token. The frames are written by hand, as libraries refuse
 * most of it.
 */
import { once } from "node:events";
import { connect } from "node:tls";
import { gzipSync } from "node:zlib";
import { toBinary, toJsonString } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import { requestFor } from "../support/both-ports.ts";
import { callWith, type Field } from "../support/http2-frames.ts";
import { newAuthority } from "../support/pki.ts";
import { refusedAtDoor } from "../support/told.ts";

const mesh = newAuthority({ name: "mesh" });
const gateway = mesh.issue({ uris: ["spiffe://example.org/gateway"] });
/** The gateway signs for acme, its users for globex. */
const rules = `  - { name: gateway, who: { spiffe: "spiffe://example.org/gateway" }, roles: [sign], tenants: [acme] }
  - { name: user, who: { token: user }, roles: [sign], tenants: [globex] }
`;

let service: AttackedWorld;
beforeAll(async () => {
  service = await startAttacked({
    more: "certificates:\n  - { name: mesh, trust-domain: example.org, ca: mesh.pem }\n",
    files: { "mesh.pem": mesh.pem },
    tokens: ["user"],
    rules,
  });
});
afterAll(() => service.stop());

const demand = `  - { name: gate, who: { spiffe: "spiffe://example.org/gateway" }, token: required }
`;
const needsToken = "this client certificate counts only with a token";
const asGateway = { acme: "OK", globex: "the caller may not sign for this tenant" };
const asUser = { acme: "the caller may not sign for this tenant", globex: "OK" };
const refused = { acme: "the token is not accepted", globex: "the token is not accepted" };

async function toldByGrpc(tenantId: string, fields: readonly Field[], change = {}): Promise<string> {
  const [method, request] = requestFor("signSpan", { tenantId });
  const end = await callWith({
    port: service.grpcPort,
    ca: service.serverCa,
    certificate: gateway,
    fields,
    path: `/${method.parent.typeName}/${method.name}`,
    message: toBinary(method.input, request),
    ...change,
  });
  if ("reset" in end) return `reset ${end.reset}`;
  service.heard(end.message);
  return end.status === grpc.status.OK ? "OK" : end.message;
}

async function toldByHttp(tenantId: string, fields: readonly Field[]): Promise<string> {
  const [method, request] = requestFor("signSpan", { tenantId });
  const socket = connect({
    host: "localhost",
    port: service.httpPort,
    ca: service.serverCa,
    cert: gateway.chain,
    key: gateway.key,
  });
  await once(socket, "secureConnect");
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk)).on("error", () => {});
  const body = toJsonString(method.input, request);
  const lines = [
    `POST /${method.parent.typeName}/${method.name} HTTP/1.1`,
    ...["host: localhost", "connection: close", "content-type: application/json", `content-length: ${body.length}`],
    ...fields.map(([name, value]) => `${name}:${value}`),
  ];
  socket.write(Buffer.from(`${lines.join("\r\n")}\r\n\r\n${body}`, "latin1"));
  await once(socket, "close");
  const answer = Buffer.concat(chunks).toString("latin1");
  const [head, text] = answer.split("\r\n\r\n") as [string, string];
  service.heard(text);
  return head.startsWith("HTTP/1.1 200") ? "OK" : String(JSON.parse(text).message);
}

const ports = { grpc: toldByGrpc, http: toldByHttp };

/** What a call for each tenant is told, sent with the gateway's certificate. */
async function told(port: keyof typeof ports, ...values: string[]) {
  const fields = values.map((value): Field => ["authorization", value]);
  return { acme: await ports[port]("acme", fields), globex: await ports[port]("globex", fields) };
}

const good = () => `Bearer ${service.tokens.user}`;

describe.each(["grpc", "http"] as const)("attack 65: on %s", (port) => {
  it("a certificate alone is its caller, and a token beside it counts alone", async () => {
    expect(await told(port)).toEqual(asGateway);
    expect(await told(port, good())).toEqual(asUser);
    expect(await told(port, `${good()}x`)).toEqual(refused);
  });

  it.each<[string, (value: string) => string]>([
    ["a blank behind it", (value) => `${value} `],
    ["a blank before it", (value) => ` ${value}`],
    ["a tab behind it", (value) => `${value}\t`],
    ["a tab before it", (value) => `\t${value}`],
    ["several of both around it", (value) => ` \t ${value}\t \t`],
  ])("a token with %s is the token", async (_, around) => {
    expect(await told(port, around(good()))).toEqual(asUser);
    expect(await told(port, around(`${good()}x`))).toEqual(refused);
  });

  it("blanks alone, and blanks within, are no token", async () => {
    for (const value of ["", " ", "\t", "Bearer", "Bearer ", good().replace(" ", "  "), good().replace(" ", "\t")]) {
      expect(await told(port, value)).toEqual(refused);
    }
  });

  it("a second header is seen beside a good one, with blanks around it too", async () => {
    for (const value of [good(), `${good()} `, "Basic eDp5\t", " "]) {
      expect(await told(port, good(), value)).toEqual(refused);
      expect(await told(port, value, good())).toEqual(refused);
    }
  });

  it("bytes beyond ASCII are no part of a token", async () => {
    for (const byte of ["\x80", "\xa0", "\xff"]) expect(await told(port, good() + byte)).toEqual(refused);
  });
});

/** What nghttp2 leaves out, without a word to node:http2 (RFC 9113 §8.2.1 has them all malformed). */
const vanishing: [string, () => Field][] = [
  ...["\0", "\x01", "\n", "\r", "\x1f", "\x7f"].map((character): [string, () => Field] => [
    `${JSON.stringify(character)} in its value`,
    () => ["authorization", good() + character],
  ]),
  ["a blank behind its name", () => ["authorization ", good()]],
  ["a control character in its name", () => ["authorization\x01", good()]],
];

describe.each(vanishing)("attack 65: a token with %s, beside a certificate", (_, field) => {
  const by = async (...fields: Field[]) => ({
    acme: await toldByGrpc("acme", fields),
    globex: await toldByGrpc("globex", fields),
  });

  it("is not seen on gRPC, and the certificate counts: this is what remains", async () => {
    expect(await by(field())).toEqual(asGateway);
    expect(await by(["authorization", good()], field())).toEqual(asUser);
  });

  it("is missed where a rule demands a token, whatever others give to the certificate", async () => {
    await service.replace(service.policy + demand);
    expect(await by(field())).toEqual({ acme: needsToken, globex: needsToken });
    expect(await by()).toEqual({ acme: needsToken, globex: needsToken });
    expect(await by(["authorization", good()])).toEqual(asUser);
    await service.replace(service.policy);
    expect(await by()).toEqual(asGateway);
  });

  it("is refused on HTTP/1.1 with its request", async () => {
    expect(await toldByHttp("acme", [field()])).toBe("what came is no HTTP/1.1 request that is served");
  });
});

it("attack 65: where a rule demands a token, both ports and whoami refuse the certificate alone, and log the rule", async () => {
  await service.replace(service.policy + demand);
  expect(await service.ask({ certificate: gateway })).toEqual(refusedAtDoor("UNAUTHENTICATED", needsToken));
  const whoami = (headers: Record<string, string> = {}) =>
    service.http("/api/kms/whoami", { certificate: gateway, headers });
  const alone = await whoami();
  expect([alone.status, JSON.parse(alone.body).message]).toEqual([401, needsToken]);
  const { status, body } = await whoami({ authorization: good() });
  expect([status, JSON.parse(body).name]).toEqual([200, "token:user"]);
  service.heard(body);
  expect(service.log()).toContain(`${needsToken}, by rule gate: none came, or a malformed one`);
  await service.replace(service.policy);
  expect((await whoami()).status).toBe(200);
});

describe("attack 65: other fields that decide something, on gRPC", () => {
  const withToken = (name: string, value: string, change = {}) =>
    toldByGrpc(
      "globex",
      [
        ["authorization", good()],
        [name, value],
      ],
      change,
    );

  it.each<[field: string, good: string, told: string, blank: string, vanished: string]>([
    ["content-type", "application/grpc", "OK", "OK", "content-type: must begin with application/grpc"],
    ["te", "trailers", "OK", "reset 1", "reset 1"],
    [":path", "/fluo.kms.v1.KmsService/SignSpan", "OK", "reset 1", "reset 1"],
    [":authority", "localhost", "OK", "reset 1", "reset 1"],
    // Without it a call runs until its client leaves.
    ["grpc-timeout", "1H", "OK", "grpc-timeout: must be 1 to 8 digits and a unit of H, M, S, m, u, n", "OK"],
    ["traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "OK", "OK", "OK"],
    ["x-forwarded-for", "192.0.2.1", "OK", "OK", "OK"],
  ])("%s", async (name, value, told, blank, vanished) => {
    expect(await withToken(name, value)).toBe(told);
    expect(await withToken(name, `${value} `)).toBe(blank);
    expect(await withToken(name, `${value}\x01`)).toBe(vanished);
  });

  it("grpc-encoding: a compressed message is refused, as it is no message", async () => {
    const [method, request] = requestFor("signSpan", { tenantId: "globex" });
    const compressed = { message: gzipSync(toBinary(method.input, request)), compressed: 1 };
    expect(await withToken("grpc-encoding", "gzip", compressed)).toBe("OK");
    expect(await withToken("grpc-encoding", "gzip ", compressed)).toBe(
      'Received message compressed with unsupported encoding "gzip "',
    );
    expect(await withToken("grpc-encoding", "gzip\x01", compressed)).toMatch(/encode it as the proto says$/);
  });

  it("a field with a capital in its name has the stream reset", async () => {
    expect(await toldByGrpc("acme", [["Authorization", good()]])).toBe("reset 1");
  });

  it("none is pushed out by many others: the stream is reset", async () => {
    const many = Array.from({ length: 200 }, (_, at): Field => [`x-${at}`, "v"]);
    expect(await toldByGrpc("acme", [...many, ["authorization", good()]])).toBe("reset 11");
  });
});
