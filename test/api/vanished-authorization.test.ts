/**
 * Attack 65: an `authorization` that nghttp2 finds invalid is not handed to Node, which has no event for it. A gateway with a certificate of its
 * own that passes its user's header on could then act as itself. The frames are written by hand, as libraries refuse most of it.
 */
import { once } from "node:events";
import { connect } from "node:tls";
import { toBinary, toJsonString } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import { requestFor } from "../support/both-ports.ts";
import { callWith, type Field } from "../support/http2-frames.ts";
import { newAuthority } from "../support/pki.ts";

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
    ...{ files: { "mesh.pem": mesh.pem }, tokens: ["user"], rules },
  });
});
afterAll(() => service.stop());

const asGateway = { acme: "OK", globex: "the caller may not sign for this tenant" };
const asUser = { acme: "the caller may not sign for this tenant", globex: "OK" };
const refused = { acme: "the token is not accepted", globex: "the token is not accepted" };

async function toldByGrpc(tenantId: string, fields: readonly Field[]): Promise<string> {
  const [method, request] = requestFor("signSpan", { tenantId });
  const end = await callWith({
    ...{ port: service.grpcPort, ca: service.serverCa, certificate: gateway, fields },
    path: `/${method.parent.typeName}/${method.name}`,
    message: toBinary(method.input, request),
  });
  if ("reset" in end) return `reset ${end.reset}`;
  service.heard(end.message);
  return end.status === grpc.status.OK ? "OK" : end.message;
}

async function toldByHttp(tenantId: string, fields: readonly Field[]): Promise<string> {
  const [method, request] = requestFor("signSpan", { tenantId });
  const socket = connect({
    ...{ host: "localhost", port: service.httpPort, ca: service.serverCa },
    ...{ cert: gateway.chain, key: gateway.key },
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
