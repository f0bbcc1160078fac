/** `fluo.kms.tls.*`: both ports speak TLS, and nothing else. The certificate is made here, by OpenSSL's command line. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { type Agent, request as httpsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as tlsConnect } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  failureOf,
  type GrpcClient,
  grpcClient,
  type RunningService,
  startService,
} from "./support/running-service.ts";

const directory = mkdtempSync(join(tmpdir(), "fluo-kms-"));
const certificate = join(directory, "certificate.pem");
const key = join(directory, "key.pem");
const made = spawnSync("openssl", [
  ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
  ...["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
  ...["-keyout", key, "-out", certificate],
]);
const missing = made.status !== 0;
if (missing) console.warn("openssl cannot make a certificate here: TLS is not tested");

afterAll(() => rmSync(directory, { recursive: true }));

it.skipIf(missing && !process.env.CI)("openssl makes a certificate", () => {
  expect({ error: made.error, status: made.status }, made.stderr?.toString()).toEqual({ error: undefined, status: 0 });
});

describe.skipIf(missing)("with a certificate", () => {
  let service: RunningService;
  let client: GrpcClient;

  beforeAll(async () => {
    service = await startService({ "fluo.kms.tls.certificate": certificate, "fluo.kms.tls.key": key });
    client = grpcClient(`localhost:${service.grpcPort}`, grpc.credentials.createSsl(readFileSync(certificate)));
  });

  afterAll(async () => {
    client.close();
    await service.stop();
  });

  async function get(
    path: string,
    options: { ca?: Buffer; agent?: Agent } = {},
  ): Promise<{ status: number; body: string }> {
    const call = httpsRequest({ host: "127.0.0.1", port: service.httpPort, path, ...options }).end();
    const [response] = await once(call, "response");
    return { status: response.statusCode, body: await text(response) };
  }

  it("answers gRPC to a client that trusts it", async () => {
    expect((await client.status({})).provider).toBe("local");
    const { plaintext } = await client.generateDataKey({ tenantId: "acme" });
    expect(plaintext).toHaveLength(32);
  });

  it("answers HTTPS to a client that trusts it: health, metrics, administration", async () => {
    const ca = readFileSync(certificate);
    expect(JSON.parse((await get("/q/health", { ca })).body).status).toBe("UP");
    expect((await get("/q/metrics", { ca })).body).toContain("kms_cache_size");
    expect(JSON.parse((await get("/api/admin/kms/status", { ca })).body).provider).toBe("local");
  });

  it("has an example on the front page that is of HTTPS", async () => {
    const { body } = await get("/", { ca: readFileSync(certificate) });
    expect(body).toContain(`curl -s "https://localhost:${service.httpPort}/`);
  });

  it("is not trusted by a client that was not told to", async () => {
    await expect(get("/q/health")).rejects.toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
    const stranger = grpcClient(`localhost:${service.grpcPort}`, grpc.credentials.createSsl());
    const failure = await failureOf(stranger.status({}));
    expect(failure.code).toBe(grpc.status.UNAVAILABLE);
    expect(failure.message).toMatch(/self-signed certificate/);
    stranger.close();
  });

  it("refuses gRPC in plaintext", async () => {
    expect(await failureOf(service.grpc.status({}))).toMatchObject({ code: grpc.status.UNAVAILABLE });
  });

  it("refuses HTTP in plaintext, without an answer", async () => {
    const call = httpRequest({ host: "127.0.0.1", port: service.httpPort, path: "/q/health" }).end();
    const answered = once(call, "response");
    await expect(answered).rejects.toMatchObject({ code: "ECONNRESET" });
  });

  it("serves on when a client sends what is not TLS, or goes away in a handshake", async () => {
    for (const port of [service.grpcPort, service.httpPort]) {
      const socket: Socket = connect(port, "127.0.0.1");
      socket.on("error", () => {});
      await once(socket, "connect");
      socket.end("\x16\x03\x01 not a handshake");
      await once(socket.resume(), "close");
    }
    expect((await client.status({})).provider).toBe("local");
    expect((await get("/q/health", { ca: readFileSync(certificate) })).status).toBe(200);
  });

  it.each(["grpcPort", "httpPort"] as const)("speaks no TLS before 1.2 on %s", async (port) => {
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;
    const socket = tlsConnect({ host: "127.0.0.1", port: service[port], rejectUnauthorized: false, ...old });
    await expect(once(socket, "secureConnect")).rejects.toThrow();
  });
});
