/** How credentials are shown, on both ports: none, in odd headers, two of them, static tokens, and a token beside a certificate. */
import { once } from "node:events";
import { connect } from "node:http2";
import { connect as tlsConnect } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newStaticToken } from "../../src/auth/token/static-token.ts";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import { newAuthority } from "../support/pki.ts";
import { accepted, expired, noCredential, notAccepted } from "../support/told.ts";
import { destroySession } from "../support/destroy-session.ts";

const mesh = newAuthority({ name: "mesh" });
const ingest = () => mesh.issue({ uris: ["spiffe://example.org/ingest"] });
const ended = newStaticToken();

let service: AttackedWorld;
beforeAll(async () => {
  service = await startAttacked({
    more: "certificates:\n  - { name: mesh, trust-domain: example.org, ca: mesh.pem }\n",
    files: { "mesh.pem": mesh.pem },
    tokens: ["app"],
    tokenEntries: `  - { name: ended, sha256: "${ended.sha256}", expires: 2026-01-01 }\n`,
    rules: [
      ["by-token", "{ jwt: { issuer: sso, subject: ingest } }"],
      ["by-certificate", '{ spiffe: "spiffe://example.org/ingest" }'],
      ["app", "{ token: app }"],
      ["ended", "{ token: ended }"],
    ]
      .map(([name, who]) => `  - { name: ${name}, who: ${who}, roles: [sign], tenants: [acme] }\n`)
      .join(""),
  });
  service.canary(ended.token);
});
afterAll(() => service.stop());

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe("attack 22: headers that are too large", () => {
  it("of 1 MB are refused by the transport, with 431 on HTTP, and others are served", async () => {
    const client = service.client();
    const metadata = new grpc.Metadata();
    metadata.set("authorization", `Bearer ${"x".repeat(1_000_000)}`);
    const refused = await client.raw("signSpan", Buffer.alloc(0), {}, metadata).then(
      () => undefined,
      (error: grpc.ServiceError) => error,
    );
    expect([grpc.status.INTERNAL, grpc.status.UNAVAILABLE, grpc.status.RESOURCE_EXHAUSTED]).toContain(refused?.code);
    client.close();

    const socket = tlsConnect({ port: service.httpPort, host: "localhost", ca: service.serverCa }).on(
      "error",
      () => {},
    );
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    const head = `POST /fluo.kms.v1.KmsService/SignSpan HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer `;
    socket.write(`${head}${"x".repeat(1_000_000)}\r\n\r\n`);
    await new Promise((resolve) => socket.on("close", resolve));
    expect(Buffer.concat(chunks).toString()).toMatch(/^HTTP\/1\.1 431 /);
    expect(await service.ask(bearer(service.token()))).toEqual(accepted);
  });
});

/** Over bare HTTP/2, as grpc-js sends one `authorization` at most. */
async function grpcStatus(...authorization: string[]): Promise<number> {
  const session = connect(`https://localhost:${service.grpcPort}`, {
    ...{ ca: service.serverCa, strictSingleValueFields: false }, // of which the types know nothing
  });
  const headers = [
    ...[":method", "POST", ":path", "/fluo.kms.v1.KmsService/SignSpan", ":scheme", "https", ":authority", "localhost"],
    ...["content-type", "application/grpc", "te", "trailers"],
    ...authorization.flatMap((value) => ["authorization", value]),
  ];
  const stream = session.request(headers);
  const [answered] = await once(stream, "response");
  await destroySession(session);
  return Number(answered["grpc-status"]);
}

async function httpAnswer(...authorization: string[]) {
  const headers = ["host", "localhost", ...authorization.flatMap((value) => ["authorization", value])];
  const { status, body } = await service.http("/api/kms/whoami", { headers });
  return { status, body };
}

it("attack 23: two authorization headers are refused, whichever is good", async () => {
  const [good, other] = [bearer(service.token()).authorization, "Bearer other"];
  service.canary(good);
  expect(await httpAnswer(good)).toMatchObject({ status: 200 });
  for (const both of [
    [good, other],
    [other, good],
    [good, good],
  ]) {
    expect(await grpcStatus(...both)).toBe(grpc.status.UNAUTHENTICATED);
    const { status, body } = await httpAnswer(...both);
    expect([status, JSON.parse(body).message]).toEqual([401, "the token is not accepted"]);
    service.heard(body);
  }
});

it("a stranger that sends a large body reads why it is refused, over TLS too", async () => {
  for (let times = 0; times < 10; times += 1) {
    const asked = {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "x".repeat(7 * 1024 * 1024),
    };
    const { status, headers } = await service.http("/fluo.kms.v1.KmsService/SignSpan", asked);
    expect([status, headers.connection]).toEqual([401, "close"]);
  }
  const client = service.client();
  for (let times = 0; times < 10; times += 1) {
    const refused = client.raw("signSpan", Buffer.alloc(3_900_000));
    await expect(refused).rejects.toMatchObject({ code: grpc.status.UNAUTHENTICATED, details: "no credential" });
  }
  client.close();
});

describe("attack 24: a token", () => {
  it("in a query, a cookie or another header is not looked at", async () => {
    const token = service.token();
    service.canary(token);
    const headers = { cookie: `access_token=${token}; authorization=Bearer ${token}`, "x-authorization": token };
    expect(await service.ask({ headers })).toEqual(noCredential);
    const path = `/api/kms/whoami?access_token=${token}&authorization=Bearer%20${token}`;
    const { status, body } = await service.http(path, { headers });
    expect([status, JSON.parse(body).message]).toEqual([401, "no credential"]);
    service.heard(body);
  });
});

it("attack 31: a token that is bound to a certificate is good with that one alone", async () => {
  const certificate = ingest();
  const thumbprint = Buffer.from(certificate.x509.fingerprint256.replaceAll(":", ""), "hex").toString("base64url");
  const shown = bearer(service.token({ cnf: { "x5t#S256": thumbprint } }));
  expect(await service.ask({ ...shown, certificate })).toEqual(accepted);
  expect(await service.ask({ ...shown, certificate: ingest() })).toEqual(notAccepted);
  expect(await service.ask(shown)).toEqual(notAccepted);
  expect(await service.ask({ ...shown, certificate: newAuthority().issue({}) })).toEqual(notAccepted);
  expect(await service.ask({ ...bearer(service.token({ cnf: { jkt: thumbprint } })), certificate })).toEqual(
    notAccepted,
  );
  // Verified once, it is asked for its certificate at each call.
  expect(await service.ask({ ...shown, certificate })).toEqual(accepted);
});

it("attack 32: a static token is accepted until its end", async () => {
  expect(await service.ask(bearer(service.tokens.app!))).toEqual(accepted);
  expect(await service.ask(bearer(ended.token))).toEqual(expired);
});
