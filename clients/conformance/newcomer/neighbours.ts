/**
 * What the examples of the page call, each under the address that the page has: the service, a service with TLS and a policy, and the
 * backend of the spans. Beside the programs lie the files that the page names: certificates, a token, and what the backend received.
 */
import { appendFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { newStaticToken } from "../../../src/auth/token/static-token.ts";
import { newAuthority } from "../../../test/support/pki.ts";
import { startProcess } from "../../../test/support/service-process.ts";
import { startService } from "../../../test/support/running-service.ts";

export interface Neighbours {
  /** Text of the page, with the addresses that are in use here. */
  here(text: string): string;
  stop(): Promise<void>;
}

/** `folder` is the newcomer's; the service runs in `serviceFolder`. */
export async function startNeighbours(folder: string, serviceFolder: string): Promise<Neighbours> {
  const [{ grpc, http }, secured, backend] = await Promise.all([
    startProcess({}, { cwd: serviceFolder }),
    startSecured(folder),
    startBackend(join(folder, "spans.binpb")),
  ]);
  const addresses = {
    "localhost:9000": `localhost:${portOf(grpc)}`,
    "localhost:8080": `localhost:${portOf(http)}`,
    "localhost:4318": `127.0.0.1:${backend.port}`,
    "kms.example.com:9000": `localhost:${secured.grpcPort}`,
  };
  return {
    here: (text) => withAddresses(text, addresses),
    async stop() {
      backend.close();
      await secured.stop();
    },
  };
}

/** Puts in whole addresses, all at once: a port that was put in may begin like one of the page. */
export function withAddresses(text: string, addresses: Readonly<Record<string, string>>): string {
  return text.replace(/\b[a-z][a-z.]*:\d+\b/g, (address) => addresses[address] ?? address);
}

function portOf(address: string): string {
  return /\d+$/.exec(address)![0];
}

/** A service that asks who calls, and the files of a caller: `ca.pem`, `client.pem` with `client.key`, and `kms.token`. */
async function startSecured(folder: string) {
  const [clients, { token, sha256 }] = [newAuthority({ name: "clients" }), newStaticToken()];
  const roles = "roles: [encrypt, decrypt], tenants: [acme]";
  const policy = `version: 1
certificates: [{ name: clients, dns: [.example.com], ca: clients.pem }]
tokens: [{ name: loans, sha256: ${sha256}, expires: 2099-01-01 }]
rules:
  - { name: certificate, who: { dns: { certificates: clients, name: loans.example.com } }, ${roles} }
  - { name: token, who: { token: loans }, ${roles} }
`;
  const service = await startService({}, { files: { "policy.yaml": policy, "clients.pem": clients.pem }, tls: true });
  const { chain, key } = clients.issue({ dns: ["loans.example.com"], extendedKeyUsage: ["clientAuth"] });
  const files = { "ca.pem": service.serverCa, "client.pem": chain, "client.key": key, "kms.token": `${token}\n` };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  return service;
}

/** Takes traces by OTLP over HTTP, and adds each to a file: exports behind each other are one. */
async function startBackend(file: string): Promise<{ port: number; close: () => void }> {
  const server = createServer(async (request, response) => {
    const body = await buffer(request);
    appendFileSync(file, request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body);
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
