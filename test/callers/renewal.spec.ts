/** Clients whose certificates end while they call. The service says 30 s ahead that a connection should be made anew. */
import { afterAll, beforeAll, it } from "vitest";
import { fromNow } from "../support/from-now.ts";
import { type CalledService, ingest, mesh, newFolder, policyFiles, startCalled } from "./called-service.ts";
import { goCaller } from "./clients.ts";
import { loadBy, loadOnOpenConnections } from "./load.ts";

let service: CalledService;
beforeAll(async () => {
  service = await startCalled(newFolder(), policyFiles);
});
afterAll(async () => {
  await service.process.end();
});

const lifeMs = 40_000;
const renewEveryMs = 2_000;
const generate = { method: "fluo.kms.v1.KmsService/GenerateDataKey", request: { tenant_id: "acme" } };
const shortLived = () => mesh.issue({ uris: [ingest], until: fromNow(lifeMs) });

it.concurrent("fails no call of a client that renews its certificate, on either port", async ({ expect }) => {
  // In one file, as a new certificate beside the former key would be no pair.
  const renew = () => {
    const { chain, key } = shortLived();
    return service.write({ "renewed.pem": chain + key });
  };
  const file = renew();
  const renewing = setInterval(renew, renewEveryMs);
  try {
    const credential = { certificate: file, key: file };
    const first = Date.now();
    const byGrpc = await loadBy(goCaller, service, { ...generate, credential });
    const byHttp = await loadOnOpenConnections(service, credential);
    await expect.poll(() => Date.now() - first).toBeGreaterThan(lifeMs + renewEveryMs);
    for (const load of [byGrpc, byHttp]) {
      const { calls, connections, failures } = await load.end();
      console.log(`${calls} calls on ${connections} connections, ${failures.length} failed`);
      expect(failures).toEqual([]);
      expect(connections).toBeGreaterThan(1);
    }
  } finally {
    clearInterval(renewing);
  }
});

it.concurrent("refuses a client that does not renew it, once it has ended, in words that say so", async ({
  expect,
}) => {
  const credential = service.credential(shortLived());
  const first = Date.now();
  const byGrpc = await loadBy(goCaller, service, { ...generate, credential });
  await expect.poll(() => Date.now() - first).toBeGreaterThan(lifeMs + renewEveryMs);
  const { calls, failures } = await byGrpc.end();
  expect(calls).toBeGreaterThan(failures.length);
  expect(new Set(failures.map((failure) => JSON.stringify(failure)))).toEqual(
    new Set([
      JSON.stringify({
        code: "Unauthenticated",
        text: "the client certificate has expired: connect again",
        reason: "CREDENTIAL_EXPIRED",
      }),
    ]),
  );
});
