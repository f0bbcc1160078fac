/** The service's certificate is replaced again and again while clients call on both ports, on old connections and on new ones. */
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import { afterAll, beforeAll, expect, it } from "vitest";
import { isShort } from "../support/short.ts";
import { type CalledService, ingest, mesh, newFolder, policyFiles, startCalled, tokens } from "./called-service.ts";
import { goCaller, pythonCaller } from "./clients.ts";
import { type Load, loadBy, loadByCurl, loadOnOpenConnections } from "./load.ts";

let service: CalledService;
beforeAll(async () => {
  service = await startCalled(newFolder(), policyFiles);
});
afterAll(async () => {
  await service.process.end();
});

const reloads = isShort ? 2 : 20;
const generate = { method: "fluo.kms.v1.KmsService/GenerateDataKey", request: { tenant_id: "acme" } };

/** The serial numbers of the certificates that both ports show now. */
async function shown(): Promise<string[]> {
  const serials = [service.grpc, service.http].map(async (address) => {
    const [, host, port] = /([\d.]+):(\d+)/.exec(address)!;
    const socket = connect({
      host,
      port: Number(port),
      ca: readFileSync(service.ca),
      ALPNProtocols: ["h2", "http/1.1"],
    });
    await once(socket, "secureConnect");
    const { serialNumber } = socket.getPeerCertificate();
    socket.destroy();
    return serialNumber;
  });
  return Promise.all(serials);
}

it(`fails no call in ${reloads} reloads on either port`, async () => {
  const credential = service.credential(mesh.issue({ uris: [ingest] }));
  const loads: Record<string, Load> = {
    "grpc-go with a certificate": await loadBy(goCaller, service, { ...generate, credential }),
    "grpcio with a certificate": await loadBy(pythonCaller, service, { ...generate, credential }),
    "grpcio with a token": await loadBy(pythonCaller, service, { ...generate, credential: { token: tokens.app } }),
    "curl with a certificate": await loadByCurl(service, credential),
    "HTTP with a certificate": await loadOnOpenConnections(service, credential),
  };
  for (let times = 0; times < reloads; times += 1) {
    const files = service.newServerFiles();
    const { serialNumber } = new X509Certificate(files["server.pem"]);
    service.write(files);
    await expect.poll(shown).toEqual([serialNumber, serialNumber]);
  }
  for (const [name, load] of Object.entries(loads)) {
    const { calls, failures } = await load.end();
    console.log(`${name}: ${calls} calls, ${failures.length} failed`);
    expect(failures, name).toEqual([]);
    expect(calls, name).toBeGreaterThan(1);
  }
});
