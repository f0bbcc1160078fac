/** Requests of many fields, in the forms that are sent. */
import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import {
  DecryptPiiRequestSchema,
  DecryptPiiResponseSchema,
  EncryptPiiRequestSchema,
  EncryptPiiResponseSchema,
} from "../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { assert } from "../checks.ts";
import type { Caller } from "../client/caller.ts";
import { rpc, tenantId } from "../requests.ts";

export function encryptPiiJson(request: Uint8Array): Uint8Array {
  return Buffer.from(toJsonString(EncryptPiiRequestSchema, fromBinary(EncryptPiiRequestSchema, request)));
}

/** Of the tokens that the service answers with to an EncryptPiiRequest. Throws if one does not open. Closes the client. */
export async function decryptPiiRequest(client: Caller, request: Uint8Array): Promise<Uint8Array> {
  const { fields } = fromBinary(EncryptPiiResponseSchema, await client.call(rpc("EncryptPii"), request));
  const tokens = fields.map(({ name, token }) => ({ name, token }));
  const decrypt = toBinary(DecryptPiiRequestSchema, create(DecryptPiiRequestSchema, { tenantId, fields: tokens }));
  const opened = fromBinary(DecryptPiiResponseSchema, await client.call(rpc("DecryptPii"), decrypt)).fields;
  client.close();
  assert(opened.every(({ result }) => result.case === "value") && opened.length === fields.length, "all tokens open");
  return decrypt;
}
