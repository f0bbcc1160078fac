/**
 * What is signed about a span: an in-toto Statement v1 in RFC 8785 form, of an individual signature, an entry of a log, or a handover of
 * keys. A statement that is given is read by its parts, written again and compared: no other spelling survives.
 */
import { concat, latin1Text, utf8Bytes } from "./bytes.ts";

export interface SpanStatement {
  traceId: string;
  spanId: string;
  /** SHA-256 of the canonical form, lower-case hex. */
  digest: string;
  tenant: string;
  /** In canonical form. */
  signedAt: string;
}

export interface KeyedStatement extends SpanStatement {
  keyId: string;
}

export interface Handover {
  tenant: string;
  fromKeyId: string;
  toKeyId: string;
  /** The new key, under the log's name. */
  toVkey: string;
  /** SHA-256 of the new key, lower-case hex. */
  toKeyDigest: string;
  signedAt: string;
}

const [maxStatementBytes, maxEntryBytes] = [1024, 4096];

/** The exact text that an individual signature is over. */
export function keyedStatementText({ keyId, ...parts }: KeyedStatement): string {
  const predicate = `"keyId":"${keyId}","signedAt":"${parts.signedAt}","tenant":${JSON.stringify(parts.tenant)}`;
  return spanStatementText(predicate, parts);
}

/** The exact text of a span's entry in a log. */
export function logStatementText(parts: SpanStatement): string {
  return spanStatementText(`"signedAt":"${parts.signedAt}","tenant":"${parts.tenant}"`, parts);
}

function spanStatementText(predicate: string, { digest, traceId, spanId }: SpanStatement): string {
  return statementText(predicate, "compliance-span", digest, `${traceId}/${spanId}`);
}

function handoverText({ fromKeyId, signedAt, tenant, toKeyId, toVkey, toKeyDigest }: Handover): string {
  const predicate = `"fromKeyId":"${fromKeyId}","signedAt":"${signedAt}","tenant":"${tenant}","toKeyId":"${toKeyId}","toVkey":"${toVkey}"`;
  return statementText(predicate, "key-handover", toKeyDigest, toKeyId);
}

function statementText(predicate: string, kind: string, digest: string, name: string): string {
  return (
    `{"_type":"https://in-toto.io/Statement/v1","predicate":{${predicate}},"predicateType":"https://fluo.dev/kms/${kind}/v1",` +
    `"subject":[{"digest":{"sha256":"${digest}"},"name":"${name}"}]}`
  );
}

const [tenant, signedAt] = [
  '"tenant":"(?<tenant>[a-z0-9][a-z0-9._-]{0,62})"',
  '"signedAt":"(?<signedAt>[0-9TZ:.-]{24})"',
];
const [digest, keyId] = ["[0-9a-f]{64}", "[0-9a-f]{32}"];
const subject = `"sha256":"(?<digest>${digest})"\\},"name":"(?<traceId>[0-9a-f]{32})/(?<spanId>[0-9a-f]{16})"`;
const keyedForm = new RegExp(`"keyId":"(?<keyId>${keyId})",${signedAt},${tenant}.*${subject}`);
const logForm = new RegExp(`${signedAt},${tenant}.*${subject}`);
const handoverForm = new RegExp(
  `"fromKeyId":"(?<fromKeyId>${keyId})",${signedAt},${tenant},"toKeyId":"(?<toKeyId>${keyId})",` +
    `"toVkey":"(?<toVkey>[!#-\\[\\]-~]+)".*"sha256":"(?<toKeyDigest>${digest})"`,
);

/** Undefined for bytes that are no such statement. */
export function parseKeyedStatement(bytes: Uint8Array): KeyedStatement | undefined {
  return parse(bytes, maxStatementBytes, keyedForm, keyedStatementText);
}

export function parseLogStatement(bytes: Uint8Array): SpanStatement | undefined {
  return parse(bytes, maxEntryBytes, logForm, logStatementText);
}

/** Whether `toKeyDigest` is that of `toVkey` is not looked at. */
export function parseHandover(bytes: Uint8Array): Handover | undefined {
  return parse(bytes, maxEntryBytes, handoverForm, handoverText);
}

function parse<Parts extends { signedAt: string }>(
  bytes: Uint8Array,
  maxBytes: number,
  form: RegExp,
  write: (parts: Parts) => string,
): Parts | undefined {
  if (bytes.length > maxBytes) return undefined;
  const text = latin1Text(bytes);
  const groups = form.exec(text)?.groups as Parts | undefined;
  if (groups === undefined || signedAtMs(groups.signedAt) === undefined) return undefined;
  return write(groups) === text ? { ...groups } : undefined;
}

const payloadType = "application/vnd.in-toto+json";

/** DSSE v1.0: what the signature of a statement is over. */
export function preAuthenticationEncoding(statement: Uint8Array): Uint8Array<ArrayBuffer> {
  return concat([utf8Bytes(`DSSEv1 ${payloadType.length} ${payloadType} ${statement.length} `), statement]);
}

const spelling = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,3}0{0,6}))?(?:[Zz]|\+00:00)$/;
/** The first time that protobuf's Timestamp holds. */
const firstMs = Date.parse("0001-01-01T00:00:00.000Z");

/** Milliseconds of a time in canonical form, as in 2026-01-02T03:04:05.678Z; undefined for any other text. */
export function signedAtMs(text: string): number | undefined {
  const ms = text.length === 24 ? Date.parse(text) : Number.NaN;
  return Number.isNaN(ms) || ms < firstMs || new Date(ms).toISOString() !== text ? undefined : ms;
}

/** The canonical form of the same instant as protobuf's JSON, Go, Python or Java spell it; undefined for any other text. */
export function canonicalSignedAt(text: string): string | undefined {
  const [, seconds, fraction = ""] = spelling.exec(text) ?? [];
  const canonical = `${seconds}.${fraction.slice(0, 3).padEnd(3, "0")}Z`;
  return seconds === undefined || signedAtMs(canonical) === undefined ? undefined : canonical;
}
