/**
 * Verifies signed spans offline, by the tenant's public keys: no network, no clock, no DOM, no Node, no dependency. SHA-256 and Ed25519 are
 * WebCrypto's. A second implementation, which shares no code with the service: messages may differ from its, reasons do not.
 */

import { optionalTenant, type TenantOption, tenantOf } from "./tenant.ts";
import { readSpan, resourceText, scopeText } from "./verify/canonical.ts";
import { judge, type LogProof, type SignedStatement } from "./verify/judge.ts";
import { type JudgeOptions, judgeExport, malformed } from "./verify/judged-export.ts";
import type { KeySet } from "./verify/key-set.ts";
import { type LogOptions, type LogReport, reportOf } from "./verify/log.ts";
import { MalformedError, tried } from "./verify/malformed.ts";
import * as otlp from "./verify/otlp.ts";
import { readWire } from "./verify/otlp-wire.ts";
import type { Verdict } from "./verify/verdict.ts";

export type { OptionalTenant, TenantOption } from "./tenant.ts";
export { UnreadableExportError } from "./verify/export-file.ts";
export type { LogProof, SignedStatement } from "./verify/judge.ts";
export { type KeySet, KeySetError, parseKeySet } from "./verify/key-set.ts";
export { LogError, type LogOptions, type LogReport, type LogResult } from "./verify/log.ts";
export type { LogFinding } from "./verify/log-audit.ts";
export type { Subtle } from "./verify/platform.ts";
export { explanations, type KeyState, type Reason, type Verdict, type VerifyingKey } from "./verify/verdict.ts";

/** A span with what was signed beside it, and who must have signed. Each message is given as its wire bytes. */
export type SpanToVerify = TenantOption & SpanEvidence;

interface SpanEvidence {
  span: Uint8Array;
  /** The resource as it was signed; left out if it was signed without. */
  resource?: Uint8Array | undefined;
  /** The scope as it was signed; left out if it was signed without. */
  scope?: Uint8Array | undefined;
  /** What to check the span against, in place of its attributes. Not together with `logProof`. */
  signedStatement?: SignedStatement | undefined;
  /** A log proof to check the span against, in place of its attributes. Not together with `signedStatement`. */
  logProof?: LogProof | undefined;
}

/** Verifies one span. Never throws for what the span, its resource or its scope hold: that is MALFORMED. */
export async function verify(
  keys: KeySet,
  { span, resource, scope, signedStatement, logProof, ...tenant }: SpanToVerify,
): Promise<Verdict> {
  const evidence = { signedStatement, logProof };
  const read = tried(() => {
    if (evidence.signedStatement !== undefined && evidence.logProof !== undefined)
      throw new MalformedError("the evidence has a second member; it is one of them");
    const ofResource = resourceText(resource && readWire(otlp.resource, resource));
    return readSpan(readWire(otlp.span, span), ofResource, scopeText(scope && readWire(otlp.scope, scope)));
  });
  return read instanceof MalformedError
    ? malformed(read)
    : (await judge(keys)(read, tenantOf(tenant), evidence)).verdict;
}

/**
 * Verifies a VerifySpanRequest, given as its wire bytes, as the service would. `tenant` is who must have signed; without it, whom the
 * request names.
 */
export async function verifyRequest(keys: KeySet, request: Uint8Array, tenant?: string): Promise<Verdict> {
  const read = tried(() => readRequest(request));
  return read instanceof MalformedError
    ? malformed(read)
    : verify(keys, { ...read, tenantId: tenant ?? read.tenantId });
}

/**
 * Verifies each span of an OTLP trace export by its attributes: protobuf, JSON, or JSON lines, as bytes. `tenant` is who must have signed;
 * without it, whom each span names. One verdict a span, in order; one in the place of what cannot be read as spans. Throws
 * UnreadableExportError for bytes that are no export. `onProgress` is told now and then how many of the bytes are done.
 */
export async function verifyExport(
  keys: KeySet,
  bytes: Uint8Array,
  tenant?: string,
  { onProgress }: Pick<JudgeOptions, "onProgress"> = {},
): Promise<Verdict[]> {
  return (await judgeExport(keys, bytes, { tenant, onProgress })).map(({ verdict }) => verdict);
}

/**
 * Verifies that the spans of an export are all of their tenant's logs, unchanged and in order, and that the logs are those of which
 * checkpoints were kept. Such a checkpoint, and it alone, shows that whoever has the key rewrote a log, or cut off its end. Throws
 * UnreadableExportError for bytes that are no export, and LogError where the key set names no log, for a checkpoint that is none or that no
 * key of the set signed, and for `from` or `to` that is no size, or beside spans of several logs.
 */
export async function verifyLog(keys: KeySet, bytes: Uint8Array, options: LogOptions = {}): Promise<LogReport> {
  return reportOf(await judgeExport(keys, bytes, { ...options, tenant: optionalTenant(options) }), keys, options);
}

function readRequest(bytes: Uint8Array): SpanEvidence & { tenantId: string } {
  const request = readWire(otlp.verifySpanRequest, bytes);
  const bytesOf = (name: string, message: otlp.Message = request) => message.get(name) as Uint8Array | undefined;
  const [signed, proof] = ["signedStatement", "logProof"].map((name) => request.get(name) as otlp.Message | undefined);
  const span = bytesOf("span");
  if (span === undefined) throw new MalformedError("the request has no span");
  const none = new Uint8Array();
  return {
    tenantId: (request.get("tenantId") ?? "") as string,
    span,
    resource: bytesOf("resource"),
    scope: bytesOf("scope"),
    signedStatement: signed && {
      statement: bytesOf("statement", signed) ?? none,
      signature: bytesOf("signature", signed) ?? none,
    },
    logProof: proof && {
      statement: bytesOf("statement", proof) ?? none,
      proof: (proof.get("proof") ?? "") as string,
    },
  };
}
