/** `fluo.kms.tls.*`: both ports speak TLS, and nothing else. The certificate is made here, by OpenSSL's command line. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as tlsConnect } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GrpcClient, grpcClient, type RunningService, startService } from "./support/running-service.ts";

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

  async function get(path: string, ca?: Buffer): Promise<string> {
    const call = request({ host: "127.0.0.1", port: service.httpPort, path, ca }).end();
    const [response] = await once(call, "response");
    return text(response);
  }

  it("answers gRPC and HTTPS to a client that trusts it: calls, health, metrics, administration, the front page", async () => {
    const ca = readFileSync(certificate);
    const { plaintext } = await client.generateDataKey({ tenantId: "acme" });
    expect(plaintext).toHaveLength(32);
    expect(JSON.parse(await get("/q/health", ca)).status).toBe("UP");
    expect(await get("/q/metrics", ca)).toContain("kms_cache_size");
    expect(JSON.parse(await get("/api/admin/kms/status", ca)).provider).toBe("local");
    expect(await get("/", ca)).toContain(`curl -s "https://localhost:${service.httpPort}/`);
    await expect(get("/q/health")).rejects.toMatchObject({ code: "DEPTH_ZERO_SELF_SIGNED_CERT" });
  });

  it.each(["grpcPort", "httpPort"] as const)("speaks nothing else on %s, and serves on", async (port) => {
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;
    const tooOld = tlsConnect({ host: "127.0.0.1", port: service[port], rejectUnauthorized: false, ...old });
    await expect(once(tooOld, "secureConnect")).rejects.toThrow();
    for (const sent of ["\x16\x03\x01 not a handshake", "GET /q/health HTTP/1.1\r\nhost: a\r\n\r\n"]) {
      const socket: Socket = connect(service[port], "127.0.0.1");
      socket.on("error", () => {});
      let answer = "";
      socket.on("data", (bytes) => (answer += bytes.toString("latin1")));
      await once(socket, "connect");
      socket.end(sent);
      await once(socket, "close");
      expect(answer).not.toContain("HTTP");
    }
    expect((await client.status({})).provider).toBe("local");
    expect(JSON.parse(await get("/q/health", readFileSync(certificate))).status).toBe("UP");
  });
});
