/** SignSpan and VerifySpan under the fake's key, by the canonical form and the judgement of the offline verifier. */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  InstrumentationScopeSchema,
  KeyState,
  ResourceSchema,
  type SignSpanRequest,
  type SignSpanResponse,
  SignSpanResponseSchema,
  type Span,
  SpanSchema,
  VerifyReason,
  type VerifySpanRequest,
  VerifySpanRequestSchema,
  type VerifySpanResponse,
  VerifySpanResponseSchema,
} from "../messages.ts";
import { type ReadSpan, readSpan, resourceText, scopeText } from "../verify/canonical.ts";
import { parseKeySet } from "../verify/key-set.ts";
import { MalformedError, tried } from "../verify/malformed.ts";
import * as otlp from "../verify/otlp.ts";
import { readWire } from "../verify/otlp-wire.ts";
import { keyedStatementText, preAuthenticationEncoding } from "../verify/statement.ts";
import { verifyRequest } from "../verify.ts";
import { invalidField } from "./refusals.ts";
import { keyId } from "./tokens.ts";

const seed = Buffer.from("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "hex");
const pkcs8Head = Buffer.from("302e020100300506032b657004220420", "hex");
const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8Head, seed]), format: "der", type: "pkcs8" });
const { x } = createPublicKey(privateKey).export({ format: "jwk" });

/** The key set in the form of `/api/kms/tenants/{tenant}/jwks.json`. It names no log: the fake has none. */
export const keySet = JSON.stringify({
  keys: [{ kty: "OKP", crv: "Ed25519", x, kid: keyId, alg: "EdDSA", use: "sig", version: 1, state: "ACTIVE" }],
});

export function signSpan(request: SignSpanRequest, tenantId: string, signedAtMs: number): SignSpanResponse {
  const { traceId, spanId, canonical } = readable(request);
  const signedAt = new Date(signedAtMs).toISOString();
  const digest = createHash("sha256").update(canonical).digest("hex");
  const text = keyedStatementText({ traceId, spanId, digest, tenant: tenantId, keyId, signedAt });
  const statement = new TextEncoder().encode(text);
  const signature = new Uint8Array(sign(null, preAuthenticationEncoding(statement), privateKey));
  const members = {
    algorithm: "EdDSA",
    value: Buffer.from(signature).toString("base64"),
    key_id: keyId,
    tenant: tenantId,
    signed_at: signedAt,
  };
  return create(SignSpanResponseSchema, {
    statement,
    signature,
    keyId,
    signedAt: timestampFromMs(signedAtMs),
    attributes: Object.entries(members).map(([name, text]) => ({
      key: `audit.integrity.${name}`,
      value: { value: { case: "stringValue" as const, value: text } },
    })),
  });
}

export async function verifySpan(request: VerifySpanRequest, tenantId: string): Promise<VerifySpanResponse> {
  const keys = await parseKeySet(keySet);
  const verdict = await verifyRequest(keys, toBinary(VerifySpanRequestSchema, request), tenantId);
  const { verified, reason, keyState, signedAt, message = "" } = verdict;
  return create(VerifySpanResponseSchema, {
    verified,
    message,
    reason: VerifyReason[reason],
    keyId: verdict.keyId ?? "",
    ...(keyState !== undefined && { keyState: KeyState[keyState] }),
    ...(signedAt !== undefined && { signedAt: timestampFromMs(Date.parse(signedAt)) }),
  });
}

/** Throws INVALID_ARGUMENT for a request that could be read in two ways, or holds what cannot be signed. */
function readable({ span, resource, scope }: SignSpanRequest): ReadSpan {
  if (span === undefined) throw invalidField("span", "is required");
  const ofResource = tried(() => resourceText(resource && readWire(otlp.resource, toBinary(ResourceSchema, resource))));
  if (ofResource instanceof MalformedError) throw invalidField("resource", ofResource.message);
  const ofScope = tried(() => scopeText(scope && readWire(otlp.scope, toBinary(InstrumentationScopeSchema, scope))));
  if (ofScope instanceof MalformedError) throw invalidField("scope", ofScope.message);
  const read = readOf(span, ofResource, ofScope);
  if (read instanceof MalformedError) throw invalidField(placeOf(span, read), read.message);
  return read;
}

function readOf(span: Span, ofResource = "", ofScope = ""): ReadSpan | MalformedError {
  return tried(() => readSpan(readWire(otlp.span, toBinary(SpanSchema, span)), ofResource, ofScope));
}

/** Finds the field at fault: the first without which the span can be read. The verifier, which is fast, does not keep the place. */
function placeOf(span: Span, { message }: MalformedError): string {
  const ids = { traceId: new Uint8Array(16).fill(1), spanId: new Uint8Array(8).fill(1) };
  const isFine = (members: object) =>
    !(readOf(Object.assign(create(SpanSchema, ids), members)) instanceof MalformedError);
  for (const { localName, name } of SpanSchema.fields) {
    const member = localName as keyof Span;
    if (isFine({ [member]: span[member] })) continue;
    if (member !== "attributes") return `span.${name}`;
    const at = span.attributes.findIndex((_, i) => !isFine({ attributes: span.attributes.slice(0, i + 1) }));
    const part = message.includes("must be a string") ? ".value" : message.includes("at most 128") ? "" : ".key";
    return `span.attributes[${at}]${part}`;
  }
  return "span";
}
