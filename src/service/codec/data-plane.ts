/**
 * Messages of the calls that are made most, from and to wire bytes by hand: of EncryptPii the generic codec makes a kilobyte of garbage a
 * field, and to write an answer it allocates twice, which costs more than to make a data key. Field numbers are those of the .proto files.
 */
import { create, fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import type { GenerateDataKeyResponse } from "../../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import {
  type EncryptPiiRequest,
  EncryptPiiRequestSchema,
  type EncryptPiiResponse,
  type PlainField,
} from "../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { keyCheck } from "./map-keys.ts";
import { varintBytes, writeBytes, writeHead, writeShortText, writeText } from "../../encoding/wire-writer.ts";

const requestTag = { tenantId: 0x0a, fields: 0x12, encryptionContext: 0x1a } as const;
const fieldTag = { name: 0x0a, value: 0x12 } as const;
const pairTag = { key: 0x0a, value: 0x12 } as const;
const responseTag = { fields: 0x0a, keyId: 0x12 } as const;
const encryptedTag = { name: 0x0a, token: 0x12 } as const;
const dataKeyTag = { plaintext: 0x0a, ciphertextBlob: 0x12, keyId: 0x1a } as const;
const noBytes = new Uint8Array();
const checkKeys = keyCheck(EncryptPiiRequestSchema)!;

/** What `fromBinary` makes of it, which reads whatever is not as usual, and throws; but no key of the context may be there twice. */
export function decodeEncryptPiiRequest(bytes: Uint8Array): EncryptPiiRequest {
  return readUsualRequest(bytes) ?? readRequest(bytes);
}

function readRequest(bytes: Uint8Array): EncryptPiiRequest {
  const request = fromBinary(EncryptPiiRequestSchema, bytes);
  checkKeys(bytes, request);
  return request;
}

/** Undefined where there is a tag that the encoders in use would not write: an unknown field, say. */
function readUsualRequest(bytes: Uint8Array): EncryptPiiRequest | undefined {
  const request = create(EncryptPiiRequestSchema);
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const tag = bytes[reader.pos++];
    if (tag === requestTag.tenantId) request.tenantId = reader.string(true);
    else if (tag === requestTag.fields) {
      const field = readField(bytes, reader);
      if (field === undefined) return undefined;
      request.fields.push(field);
    } else if (tag !== requestTag.encryptionContext || !readPair(bytes, reader, request.encryptionContext)) {
      return undefined;
    }
  }
  return request;
}

function readField(bytes: Uint8Array, reader: BinaryReader): PlainField | undefined {
  const field: PlainField = { $typeName: "fluo.kms.v1.PlainField", name: "", value: noBytes };
  const end = reader.uint32() + reader.pos;
  while (reader.pos < end) {
    const tag = bytes[reader.pos++];
    if (tag === fieldTag.name) field.name = reader.string(true);
    else if (tag === fieldTag.value) field.value = reader.bytes();
    else return undefined;
  }
  return reader.pos === end ? field : undefined;
}

/** Whether it could be read: a key that is new, its value, and nothing else. */
function readPair(bytes: Uint8Array, reader: BinaryReader, pairs: Record<string, string>): boolean {
  const end = reader.uint32() + reader.pos;
  if (reader.pos >= end || bytes[reader.pos++] !== pairTag.key) return false;
  const key = reader.string(true);
  if (reader.pos >= end || bytes[reader.pos++] !== pairTag.value) return false;
  if (key === "__proto__") return false; // an assignment would set the prototype
  if (pairs[key] !== undefined && Object.hasOwn(pairs, key)) return false;
  pairs[key] = reader.string(true);
  return reader.pos === end;
}

export function encodeEncryptPiiResponse({ fields, keyId }: EncryptPiiResponse): Uint8Array {
  const nameBytes = fields.map(({ name }) => Buffer.byteLength(name));
  const encryptedBytes = fields.map(({ token }, index) => fieldBytes(nameBytes[index]!) + fieldBytes(token.length));
  const out = Buffer.allocUnsafe(
    encryptedBytes.reduce((sum, bytes) => sum + fieldBytes(bytes), fieldBytes(keyId.length)),
  );
  let at = 0;
  for (let i = 0; i < fields.length; i += 1) {
    const { name, token } = fields[i]!;
    at = writeHead(out, at, responseTag.fields, encryptedBytes[i]!);
    at = writeHead(out, at, encryptedTag.name, nameBytes[i]!);
    at += out.write(name, at);
    at = writeText(out, at, encryptedTag.token, token);
  }
  writeShortText(out, at, responseTag.keyId, keyId);
  return out;
}

/** Of a field of so many bytes, with its head. */
function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

export function encodeGenerateDataKeyResponse(response: GenerateDataKeyResponse): Uint8Array {
  const { plaintext, ciphertextBlob, keyId } = response;
  const out = Buffer.allocUnsafe(
    (plaintext.length && fieldBytes(plaintext.length)) + fieldBytes(ciphertextBlob.length) + fieldBytes(keyId.length),
  );
  let at = plaintext.length && writeBytes(out, 0, dataKeyTag.plaintext, plaintext);
  at = writeBytes(out, at, dataKeyTag.ciphertextBlob, ciphertextBlob);
  writeShortText(out, at, dataKeyTag.keyId, keyId);
  return out;
}
