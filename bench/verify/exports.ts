/** Exports of many spans that a real service signed, in each mode, as an auditor has them: in protobuf, beside the key set. */
import { create, toBinary } from "@bufbuild/protobuf";
import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SignMode, type SignSpansRequest, SignSpansRequestSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { type Span, SpanSchema } from "../../gen/ts/fluo/kms/v1/span_pb.ts";
import { startService } from "../../test/support/running-service.ts";
import { batchOf, signedOf, withProof, withSignature } from "../../test/support/span-batches.ts";
import { openStream } from "../../test/support/stream-client.ts";
import { spanOf } from "../spans.ts";
import { temporaryDirectory } from "../temporary.ts";

export interface Exports {
  keys: string;
  log: string;
  individual: string;
}

const tenant = "acme";
const spansEach = 100;

const modes = [
  { name: "log", mode: SignMode.LOG, signed: withProof },
  { name: "individual", mode: SignMode.INDIVIDUAL, signed: withSignature },
] as const;

export async function writeExports(spans: number): Promise<Exports> {
  const folder = temporaryDirectory();
  const path = (name: string) => join(folder, name);
  const service = await startService();
  for (const { name, mode, signed } of modes) {
    const stream = openStream(`127.0.0.1:${service.grpcPort}`);
    for (let first = 0; first < spans; first += spansEach) {
      const batch = Array.from({ length: spansEach }, (_, i) => create(SpanSchema, spanOf(first + i)));
      await stream.send(batchOf(batch, first === 0 ? { tenantId: tenant, mode } : {}) as SignSpansRequest);
      const responses = [await stream.nextResponse()];
      while (!responses.at(-1)!.batchDone) responses.push(await stream.nextResponse());
      const evidence = signedOf(...responses);
      appendFileSync(path(`${name}.bin`), exportOf(batch.map((span, i) => signed(span, tenant, evidence[i]!))));
    }
    stream.close();
  }
  const answer = await fetch(`${service.url}/api/kms/tenants/${tenant}/jwks.json`);
  writeFileSync(path("keys.json"), await answer.text());
  await service.stop();
  return { keys: path("keys.json"), log: path("log.bin"), individual: path("individual.bin") };
}

/** Bytes of exports, one behind the other, are those of one. */
function exportOf(spans: Span[]): Uint8Array {
  return toBinary(SignSpansRequestSchema, create(SignSpansRequestSchema, batchOf(spans)));
}
