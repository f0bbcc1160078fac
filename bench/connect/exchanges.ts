/** A request of each unary rpc that callers repeat, and the service's answer. Rotate and Validate cost what their provider does. */
import {
  create,
  type DescMessage,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import type { Caller } from "../client/caller.ts";
import { piiFields, rpc, tenantId } from "../requests.ts";
import { spanOf } from "../spans.ts";

export interface Exchange {
  /** Wire bytes, as the answer. */
  request: Uint8Array;
  answer: Uint8Array;
}

/** By the local names of rpcs. */
export async function exchanges({ call }: Caller): Promise<Record<string, Exchange>> {
  const made: Record<string, Exchange> = {};
  async function ask<Input extends DescMessage, Output extends DescMessage>(
    { localName, name, input, output }: DescMethodUnary<Input, Output>,
    given: MessageInitShape<Input>,
  ): Promise<MessageShape<Output>> {
    const request = toBinary(input, create(input, given));
    const answer = await call(rpc(name), request);
    made[localName] = { request, answer };
    return fromBinary(output, answer);
  }
  const kms = KmsService.method;
  const { ciphertextBlob } = await ask(kms.generateDataKey, { tenantId });
  await ask(kms.decryptDataKey, { tenantId, ciphertextBlob });
  const { fields } = await ask(kms.encryptPii, { tenantId, fields: piiFields(1) });
  const tokens = fields.map(({ name, token }) => ({ name, token }));
  await ask(kms.decryptPii, { tenantId, fields: tokens });
  await ask(kms.reEncryptPii, { tenantId, fields: tokens });
  const span = spanOf(0);
  const { statement, signature } = await ask(kms.signSpan, { tenantId, span });
  const evidence = { case: "signedStatement" as const, value: { statement, signature } };
  await ask(kms.verifySpan, { tenantId, span, evidence });
  await ask(kms.getPublicKeys, { tenantId });
  await ask(kms.status, {});
  return made;
}
