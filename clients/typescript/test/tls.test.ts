/** TLS over gRPC, and who the client is. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newAuthority } from "../../../test/support/pki.ts";
import { startService, type TlsService } from "../../../test/support/running-service.ts";
import { tokenPolicy } from "../../../test/support/token-policy.ts";
import { createGrpcKms, type GrpcOptions } from "../src/node/grpc-kms.ts";

let service: TlsService;
let [caFile, otherCaFile]: string[] = [];
const policy = tokenPolicy({ app: { roles: ["status"] } });

beforeAll(async () => {
  service = await startService({}, { files: policy.files, tls: true });
  [caFile, otherCaFile] = [join(service.dir, "ca.pem"), join(service.dir, "other.pem")];
  writeFileSync(caFile, service.serverCa);
  writeFileSync(otherCaFile, newAuthority().pem);
});
afterAll(() => service.stop());

async function codeOf(options: Omit<GrpcOptions, "target">, host?: string): Promise<string> {
  return (await said(options, host)).code;
}

async function said(
  options: Omit<GrpcOptions, "target">,
  target = "localhost",
): Promise<{ code: string; message: string }> {
  const kms = createGrpcKms({
    target: target.includes(":") ? target : `${target}:${service.grpcPort}`,
    timeoutMs: 30_000,
    ...options,
  });
  try {
    await kms.status({});
    return { code: "ok", message: "" };
  } catch (error) {
    const { code, rawMessage: message } = ConnectError.from(error);
    return { code: Code[code], message };
  } finally {
    kms.close();
  }
}

describe("a client over TLS", () => {
  const token = () => policy.tokens.app!;

  it.each(["localhost", "127.0.0.1"])("reaches the service at %s, with its token", async (host) => {
    expect(await codeOf({ caFile: caFile!, token }, host)).toBe("ok");
  });

  it("is refused without a credential, and with a wrong one", async () => {
    expect(await codeOf({ caFile: caFile! })).toBe("Unauthenticated");
    expect(await codeOf({ caFile: caFile!, token: () => "wrong" })).toBe("Unauthenticated");
  });

  it.each(["localhost", "127.0.0.1"])(
    "shows its token to nobody at %s whose certificate it does not know",
    async (host) => {
      let asked = 0;
      const counted = () => {
        asked += 1;
        return token();
      };
      expect(await codeOf({ caFile: otherCaFile!, token: counted }, host)).toBe("Unavailable");
      expect(asked).toBeLessThanOrEqual(1);
    },
  );

  it.each(["localhost", "127.0.0.1"])("takes at %s no certificate for another host", async (host) => {
    const authority = newAuthority();
    const issued = authority.issue({
      dns: ["kms.example.com"],
      addresses: ["192.0.2.7"],
      extendedKeyUsage: ["serverAuth"],
    });
    const server = createServer({ cert: issued.chain, key: issued.key, ALPNProtocols: ["h2"] });
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const file = join(service.dir, "another.pem");
    writeFileSync(file, authority.pem);
    const target = `${host}:${(server.address() as AddressInfo).port}`;
    expect(await said({ caFile: file, token }, target)).toEqual({
      code: "Unavailable",
      message: expect.stringMatching(/altnames/),
    });
    server.close();
  });
});
