/** A tenant's log, made by the real service as a process: six hundred spans in two groups, a rotation between them. */
import type { SignedSpan } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { GetPublicKeysResponse } from "../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import { atExit } from "../support/cli-fixture.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { startProcess } from "../support/service-process.ts";
import { batchOf, signedOf, spansFrom } from "../support/span-batches.ts";
import { openStream } from "../support/stream-client.ts";

export interface SignedLog {
  tenantId: string;
  client: GrpcClient;
  /** Of C2SP tlog-tiles. */
  prefix: string;
  published: GetPublicKeysResponse;
  /** As vkeys, oldest first. */
  vkeys: string[];
  /** In the order of the log; the entry that hands over lies behind the first `beforeRotation`. */
  signed: SignedSpan[];
  stop(): Promise<void>;
}

export const beforeRotation = 400;
export const afterRotation = 200;

export async function signedLog(tenantId = "acme"): Promise<SignedLog> {
  const env = { FLUO_KMS_ISSUER: "kms.example.com" };
  const service = await startProcess(env, { finished: atExit });
  const { client } = service;
  const sign = async (from: number, to: number) => {
    const stream = openStream(service.grpc);
    await stream.send(batchOf(spansFrom(from, to), { tenantId, mode: SignMode.LOG }));
    stream.halfClose();
    const responses = await stream.rest();
    stream.close();
    return signedOf(...responses);
  };
  const first = await sign(0, beforeRotation);
  await client.rotate({ tenantId, force: true });
  const second = await sign(beforeRotation, beforeRotation + afterRotation);
  const published = await client.getPublicKeys({ tenantId });
  return {
    tenantId,
    client,
    prefix: `${service.http}/api/kms/tenants/${tenantId}/log`,
    published,
    vkeys: published.keys.map(({ vkey }) => vkey),
    signed: [...first, ...second],
    async stop() {
      await service.end("SIGKILL");
    },
  };
}
