/**
 * SignSpanRequest and VerifySpanRequest, read from their wire bytes. The tenant is handed back as it was sent: whether the caller may
 * name it is for the service to say. SignSpanResponse, written by hand: the generic encoder costs as much as the rest of the call but the
 * signature. Field numbers are those of signing.proto.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { integrityAttributes, type SignedSpan, type Signer } from "../../attestation/sign-statement.ts";
import type { VerifySpanRequest } from "../../attestation/verify-span.ts";
import { attributeBytes, writeAttribute } from "../../batch/attribute-results.ts";
import { invalidField } from "../../errors.ts";
import {
  canonicalSpan,
  type LoneSpan,
  loneSpan,
  type ReadSpan,
  resourceText,
  scopeText,
} from "../../otlp/canonical.ts";
import { reader } from "../../otlp/reader.ts";
import { type FieldNames, inField, inMessage, once, refused, unexpectedTag } from "../../encoding/wire-error.ts";
import { readString } from "../../otlp/text.ts";
import { type Cursor, readBytes, readEnd, readTag } from "../../encoding/wire-reader.ts";
import { maxVarintBytes, shortHead, writeBytes, writeShortText, writeTimestamp } from "../../encoding/wire-writer.ts";

export interface SignSpanRequest {
  /** Empty if there is none, or none that can be found. */
  tenantId: string;
  /** Undefined if the request is refused. */
  span: ReadSpan | undefined;
  /** Why the request cannot be read. */
  refusal: unknown;
}

/** What SignSpan answers, still to be written. */
export interface SignedAnswer {
  signed: SignedSpan;
  by: Signer;
  signedAtMs: number;
}

const requestFields: FieldNames = [
  undefined,
  "tenant_id",
  "span",
  "resource",
  "scope",
  "signed_statement",
  "log_proof",
];
const signFields = requestFields.slice(0, 5);
const signedStatementFields: FieldNames = [undefined, "statement", "signature"];
const logProofFields: FieldNames = [undefined, "statement", "proof"];

const signedStatementTag = 42;
const logProofTag = 50;

const responseTag = { statement: 0x0a, signature: 0x12, keyId: 0x1a, signedAt: 0x22, attributes: 0x2a } as const;

/**
 * Never throws: a request that cannot be read is refused by its handler, so that the refusal is in the audit trail, under the tenant that the
 * request names.
 */
export function decodeSignSpanRequest(bytes: Uint8Array): SignSpanRequest {
  const progress = newProgress();
  try {
    const { tenantId, span } = readRequest(bytes, signFields, progress);
    return { tenantId, span, refusal: undefined };
  } catch (refusal) {
    return { tenantId: progress.tenantId ?? tenantBehind(bytes, progress), span: undefined, refusal };
  }
}

/** The span of a request. Throws why it cannot be read. */
export function spanOf({ span, refusal }: SignSpanRequest): ReadSpan {
  if (span === undefined) throw refusal;
  return span;
}

/** Throws why the request cannot be read. */
export function readSignSpanRequest(bytes: Uint8Array): { tenantId: string; span: ReadSpan } {
  const { tenantId, span } = readRequest(bytes, signFields);
  return { tenantId, span };
}

export function readVerifySpanRequest(bytes: Uint8Array): VerifySpanRequest {
  return readRequest(bytes, requestFields);
}

/** Every length but the statement's is below 128, so one byte. */
export function encodeSignSpanResponse({ signed, by, signedAtMs }: SignedAnswer): Uint8Array {
  const { statement, signature } = signed;
  const attributes = integrityAttributes(signed, by);
  let size = shortHead + maxVarintBytes + statement.length + shortHead + signature.length + shortHead + by.keyId.length;
  size += shortHead + 2 * (1 + maxVarintBytes);
  for (const [key, value] of attributes) size += attributeBytes(key, value.length);
  const out = Buffer.allocUnsafe(size);

  let at = writeBytes(out, 0, responseTag.statement, statement);
  at = writeBytes(out, at, responseTag.signature, signature);
  at = writeShortText(out, at, responseTag.keyId, by.keyId);
  at = writeTimestamp(out, at, responseTag.signedAt, signedAtMs);
  for (const attribute of attributes) at = writeAttribute(out, at, responseTag.attributes, attribute);
  return out.subarray(0, at);
}

/** How far a request was read: to the field at `at`, behind so many others. */
interface Progress {
  /** The first, where there are two. */
  tenantId: string | undefined;
  fields: number;
  at: number;
}

function newProgress(): Progress {
  return { tenantId: undefined, fields: 0, at: 0 };
}

function readRequest(bytes: Uint8Array, fields: FieldNames, progress = newProgress()): VerifySpanRequest {
  const c = reader(bytes);
  const end = bytes.length;
  let span: LoneSpan | undefined;
  let resource = "";
  let scope = "";
  let signed: VerifySpanRequest["signed"];
  let logProof: VerifySpanRequest["logProof"];
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      progress.at = c.at;
      tag = readTag(c, end);
      if (tag >>> 3 >= fields.length) throw unexpectedTag(tag, fields);
      else if (tag === 10) {
        const tenantId = readString(c, end);
        progress.tenantId ??= tenantId;
      } else if (tag === 18) span = loneSpan(c, readEnd(c, end));
      else if (tag === 26) resource = resourceText(c, readEnd(c, end));
      else if (tag === 34) scope = scopeText(c, readEnd(c, end));
      else if (tag === signedStatementTag) signed = readSignedStatement(c, readEnd(c, end));
      else if (tag === logProofTag) logProof = readLogProof(c, readEnd(c, end));
      else throw unexpectedTag(tag, fields);
      seen = once(seen, tag >>> 3);
      progress.fields += 1;
      if (signed !== undefined && logProof !== undefined)
        throw refused("the evidence has a second member; it is one of them");
    }
  } catch (error) {
    throw inMessage(inField(error, fields, tag), "request");
  }
  if (span === undefined) throw invalidField("span", "is missing; give the span");
  return { tenantId: progress.tenantId ?? "", span: canonicalSpan(span, resource, scope), signed, logProof };
}

/** The tenant that a request names behind the field that could not be read. A request that can be read has each of its fields once. */
function tenantBehind(bytes: Uint8Array, { at, fields }: Progress): string {
  try {
    const reader = new BinaryReader(bytes.subarray(at));
    for (let field = fields; field < signFields.length - 1 && reader.pos < reader.len; field++) {
      const [number, type] = reader.tag();
      if (number === 1 && type === WireType.LengthDelimited) return reader.string();
      reader.skip(type, number);
    }
  } catch {} // what it says of the request, the refusal says already
  return "";
}

function readSignedStatement(c: Cursor, end: number): VerifySpanRequest["signed"] {
  let statement = new Uint8Array();
  let signature = new Uint8Array();
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 10) statement = new Uint8Array(readBytes(c, end));
      else if (tag === 18) signature = new Uint8Array(readBytes(c, end));
      else throw unexpectedTag(tag, signedStatementFields);
      seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, signedStatementFields, tag);
  }
  return { statement, signature };
}

function readLogProof(c: Cursor, end: number): VerifySpanRequest["logProof"] {
  let statement = new Uint8Array();
  let proof = "";
  let seen = 0;
  let tag = 0;
  try {
    for (; c.at < end; tag = 0) {
      tag = readTag(c, end);
      if (tag === 10) statement = new Uint8Array(readBytes(c, end));
      else if (tag === 18) proof = readString(c, end);
      else throw unexpectedTag(tag, logProofFields);
      seen = once(seen, tag >>> 3);
    }
  } catch (error) {
    throw inField(error, logProofFields, tag);
  }
  return { statement, proof };
}
