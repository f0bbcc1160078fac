/** Calls of every kind by gRPC, so that each metric that counts any of them has something to count. */
import * as grpc from "@grpc/grpc-js";
import { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { bearer, failureOf } from "../support/running-service.ts";
import { batchOf, spansFrom } from "../support/span-batches.ts";
import { openStream } from "../support/stream-client.ts";
import type { Service, Site } from "./site.ts";

const name = "email";

/** Calls every method at least once for this tenant, and ends with keys of it that are rotated. */
export async function callEverything(site: Site, service: Service, tenantId: string): Promise<void> {
  const { client } = service;
  await useKeys(service, tenantId);
  await signStreams(site, service, tenantId);
  await client.logs.getCheckpoint({ tenantId });
  await client.logs.getInclusionProof({ tenantId, leafIndex: 0n });
  await client.logs.getConsistencyProof({ tenantId, fromSize: 1n });
  await client.rotate({ tenantId, force: true });
  await useKeys(service, tenantId);
  await administer(service, tenantId);
  await failEverything(service, tenantId);
}

/** Calls that use a tenant's keys, in its data key's and its signing key's ways. */
export async function useKeys({ client }: Pick<Service, "client">, tenantId: string): Promise<void> {
  const { attributes } = await client.signSpan({ tenantId, span: plainSpan });
  await client.verifySpan({ tenantId, span: { ...plainSpan, attributes } });
  const { fields } = await client.encryptPii({ tenantId, fields: [{ name, value: Buffer.from("ann@example.com") }] });
  await client.decryptPii({ tenantId, fields });
  await client.reEncryptPii({ tenantId, fields });
  const { ciphertextBlob } = await client.generateDataKey({ tenantId });
  await client.decryptDataKey({ tenantId, ciphertextBlob });
  await client.getPublicKeys({ tenantId });
}

/** A stream in each mode, of three batches. */
export async function signStreams(site: Site, { grpc: target }: Service, tenantId: string): Promise<void> {
  for (const mode of [SignMode.INDIVIDUAL, SignMode.LOG]) {
    const stream = openStream(target, {}, {}, shownBy(site));
    for (let batch = 0; batch < 3; batch += 1) {
      await stream.send(batchOf(spansFrom(10 * batch, 10 * batch + 10), { tenantId, mode }));
    }
    stream.halfClose();
    await stream.rest();
    stream.close();
  }
}

/** What a stream needs to be let in at a site. */
export function shownBy({ token, authorities }: Site) {
  const credentials = token === undefined ? undefined : grpc.credentials.createSsl(Buffer.from(authorities.server.pem));
  return { ...(credentials && { credentials }), metadata: bearer(token) };
}

async function administer({ client }: Service, tenantId: string): Promise<void> {
  await client.status({ tenantId });
  await unlessLimited(client.validate({}));
  const { keys } = await client.admin.listKeys({ tenantId });
  const retired = keys.find(({ version }) => version!.version === 1)!;
  const { keyId } = retired.version!;
  await client.admin.disableKey({ tenantId, keyId });
  await client.admin.enableKey({ tenantId, keyId });
  await client.admin.scheduleKeyDestruction({ tenantId, keyId, days: 7 });
  await client.admin.cancelKeyDestruction({ tenantId, keyId });
  await client.admin.markKeyCompromised({ tenantId, keyId });
  await client.admin.rewrapKeys({});
  await client.admin.listAuditEvents({ tenantId });
  await unlessLimited(client.admin.verifyAudit({}));
}

/** One caller may have these but once in a while. */
async function unlessLimited(call: Promise<unknown>): Promise<void> {
  await call.catch((error: grpc.ServiceError) => {
    if (error.code !== grpc.status.RESOURCE_EXHAUSTED) throw error;
  });
}

/** A call of each method that is the caller's fault. */
async function failEverything({ client }: Service, tenantId: string): Promise<void> {
  const none = "nobody!";
  const keyId = "0".repeat(32);
  await Promise.all(
    [
      client.signSpan({ tenantId: none, span: plainSpan }),
      client.verifySpan({ tenantId: none, span: plainSpan }),
      client.encryptPii({ tenantId, fields: [] }),
      client.decryptPii({ tenantId: none, fields: [{ name, token: "no token" }] }),
      client.reEncryptPii({ tenantId: none, fields: [] }),
      client.generateDataKey({ tenantId: none }),
      client.decryptDataKey({ tenantId, ciphertextBlob: Buffer.from("nothing") }),
      client.getPublicKeys({ tenantId: none }),
      client.rotate({ tenantId: none }),
      client.admin.listKeys({ tenantId: none }),
      client.admin.disableKey({ tenantId, keyId }),
      client.admin.enableKey({ tenantId, keyId }),
      client.admin.acceptRollback({}),
      client.logs.getCheckpoint({ tenantId: none }),
    ].map(failureOf),
  );
}
