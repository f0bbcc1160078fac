/** The other requests that are measured, as wire bytes, and the paths of all. */
import { create, toBinary } from "@bufbuild/protobuf";
import { GenerateDataKeyRequestSchema } from "../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { KmsService } from "../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { EncryptPiiRequestSchema } from "../gen/ts/fluo/kms/v1/pii_pb.ts";

export const tenantId = "acme-bank";

const names = ["email", "phone", "full_name", "iban", "street_address"];
const values = [
  "anna.schmidt@example.com",
  "+49 30 901820",
  "Anna Schmidt",
  "DE89370400440532013000",
  "Karl-Marx-Allee 33",
];

/** Of 13 to 24 bytes each. */
export function piiFields(count: number) {
  return Array.from({ length: count }, (_, index) => ({
    name: `${names[index % names.length]}_${index}`,
    value: new Uint8Array(Buffer.from(values[index % values.length]!)),
  }));
}

export function encryptPiiRequest(fields: number): Uint8Array {
  return toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, { tenantId, fields: piiFields(fields) }));
}

export function generateDataKeyRequest(): Uint8Array {
  return toBinary(GenerateDataKeyRequestSchema, create(GenerateDataKeyRequestSchema, { tenantId }));
}

export function rpc(method: string): string {
  return `/${KmsService.typeName}/${method}`;
}
