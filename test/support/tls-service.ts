/** A service with TLS on both ports under a policy, and what its clients need, all made here. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { request, type RequestOptions } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import type { ConnectionSettings } from "../../src/limits/connection-settings.ts";
import { realTime, type Time } from "../../src/runtime/time.ts";
import { newAuthority } from "./pki.ts";
import { type GrpcClient, grpcClient, startService } from "./running-service.ts";

/** PEM. */
export interface ClientCertificate {
  chain: string;
  key: string;
}

export interface HttpAnswer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  body: string;
}

export interface TlsService {
  grpcPort: number;
  httpPort: number;
  dir: string;
  /** PEM of the authority of the service's own certificate. */
  serverCa: string;
  /** Writes files into the policy's folder, each at once in its place, and waits until they are in force. */
  write(files: Record<string, string>): Promise<void>;
  /** A certificate and key for the service's own name. */
  newServerFiles(): Record<"server.pem" | "server.key", string>;
  credentials(certificate?: ClientCertificate): grpc.ChannelCredentials;
  client(certificate?: ClientCertificate): GrpcClient;
  /** One request on a connection of its own. */
  http(
    path: string,
    options?: RequestOptions & { certificate?: ClientCertificate; body?: string },
  ): Promise<HttpAnswer>;
  stop(): Promise<void>;
}

/** `files` has `policy.yaml` and what it names. `bounds` hold in place of constants. */
export async function startTlsService(
  files: Record<string, string>,
  properties: Record<string, string> = {},
  time: Time = realTime,
  bounds: Partial<ConnectionSettings> = {},
): Promise<TlsService> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-tls-"));
  const serverCa = newAuthority({ name: "server" });
  const newServerFiles = () => {
    const { chain, key } = serverCa.issue({
      dns: ["localhost"],
      addresses: ["127.0.0.1"],
      extendedKeyUsage: ["serverAuth"],
    });
    return { "server.pem": chain, "server.key": key };
  };
  const put = (all: Record<string, string>) => {
    for (const [name, text] of Object.entries(all)) {
      writeFileSync(join(dir, `${name}.new`), text, { mode: 0o600 });
      renameSync(join(dir, `${name}.new`), join(dir, name));
    }
  };
  put({ ...newServerFiles(), ...files });
  const service = await startService(
    {
      "fluo.kms.auth": "policy",
      "fluo.kms.policy.file": join(dir, "policy.yaml"),
      "fluo.kms.tls.certificate": join(dir, "server.pem"),
      "fluo.kms.tls.key": join(dir, "server.key"),
      ...properties,
    },
    time,
    bounds,
  );
  service.grpc.close();
  const { grpcPort, httpPort } = service;
  const credentials: TlsService["credentials"] = (certificate) =>
    grpc.credentials.createSsl(
      Buffer.from(serverCa.pem),
      certificate ? Buffer.from(certificate.key) : null,
      certificate ? Buffer.from(certificate.chain) : null,
    );
  return {
    grpcPort,
    httpPort,
    dir,
    newServerFiles,
    serverCa: serverCa.pem,
    async write(all) {
      put(all);
      await service.reloadFiles();
    },
    credentials,
    client: (certificate) => grpcClient(`localhost:${grpcPort}`, credentials(certificate)),
    http: (path, { certificate, body, ...options } = {}) =>
      new Promise((resolve, reject) => {
        const tls = {
          ca: serverCa.pem,
          agent: false,
          ...(certificate && { cert: certificate.chain, key: certificate.key }),
        };
        const asked = request({ host: "localhost", port: httpPort, path, ...tls, ...options }, async (response) => {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk as Buffer);
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          });
        });
        asked.on("error", reject).end(body);
      }),
    async stop() {
      await service.stop();
      rmSync(dir, { recursive: true });
    },
  };
}
