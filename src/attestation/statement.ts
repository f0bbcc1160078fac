/**
 * What is signed: an in-toto Statement v1 about one span, in RFC 8785 form, inside the DSSE pre-authentication encoding. The members are
 * static text in sorted order, so writing it is one concatenation.
 */
import { KmsError } from "../errors.ts";

export const payloadType = "application/vnd.in-toto+json";
export const predicateType = "https://fluo.dev/kms/compliance-span/v1";

export interface StatementParts {
  /** Lower-case hex. */
  traceId: string;
  spanId: string;
  /** SHA-256 of the canonical form, lower-case hex. */
  digest: string;
  tenant: string;
  keyId: string;
  /** As `formatSignedAt` writes it. */
  signedAt: string;
}

/** The statement's exact text. */
export function buildStatement({ traceId, spanId, digest, tenant, keyId, signedAt }: StatementParts): string {
  return (
    `{"_type":"https://in-toto.io/Statement/v1","predicate":{"keyId":"${keyId}","signedAt":"${signedAt}","tenant":${JSON.stringify(tenant)}},` +
    `"predicateType":"${predicateType}","subject":[{"digest":{"sha256":"${digest}"},"name":"${traceId}/${spanId}"}]}`
  );
}

/** The parts of a statement, or undefined for bytes that `buildStatement` cannot have written. */
export function parseStatement(statement: Uint8Array): StatementParts | undefined {
  if (statement.length > maxStatementBytes) return undefined;
  const text = Buffer.from(statement).toString("latin1");
  const groups = variable.exec(text)?.groups as unknown as StatementParts | undefined;
  if (groups === undefined) return undefined;
  // Written again and compared: what is not the canonical text does not survive.
  const parts: StatementParts = { ...groups };
  return buildStatement(parts) === text && signedAtMs(parts.signedAt) !== undefined ? parts : undefined;
}

const maxStatementBytes = 1024;

/** The parts that vary, in the order of the text, each in its own form. What is between them is checked by writing it again. */
const variable = new RegExp(
  '"keyId":"(?<keyId>[0-9a-f]{32})","signedAt":"(?<signedAt>[0-9TZ:.-]{24})","tenant":"(?<tenant>[a-z0-9][a-z0-9._-]{0,62})"' +
    '.*"sha256":"(?<digest>[0-9a-f]{64})"\\},"name":"(?<traceId>[0-9a-f]{32})/(?<spanId>[0-9a-f]{16})"',
);

const paePrefix = `DSSEv1 ${payloadType.length} ${payloadType} `;

/** DSSE v1.0: "DSSEv1" SP LEN(type) SP type SP LEN(payload) SP payload, lengths in ASCII decimal. */
export function preAuthenticationEncoding(payload: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`${paePrefix}${payload.length} `), payload]);
}

export interface EncodedStatement {
  /** What is signed: the pre-authentication encoding. */
  message: Uint8Array;
  /** The statement's bytes, which are the message's end. */
  statement: Uint8Array;
}

/** The same encoding straight from a statement's text, in one pooled allocation: a buffer of its own costs microseconds. */
export function encodeStatement(text: string): EncodedStatement {
  const header = preAuthenticationHeader(text);
  const message = Buffer.from(header + text);
  return { message, statement: message.subarray(header.length) };
}

/** What comes before a statement's text in the encoding. */
export function preAuthenticationHeader(text: string): string {
  return `${paePrefix}${Buffer.byteLength(text)} `;
}

/** What was formatted last: under load many spans are signed in a millisecond. */
let formatted = { ms: Number.NaN, text: "" };

/** RFC 3339 in UTC with three fraction digits and `Z`. */
export function formatSignedAt(ms: number): string {
  if (formatted.ms === ms) return formatted.text;
  const text = new Date(ms).toISOString();
  if (text.length !== signedAtLength || ms < firstMs)
    throw new KmsError("INTERNAL", "the signing time lies outside the years 0001 to 9999");
  formatted = { ms, text };
  return text;
}

const signedAtLength = "0000-00-00T00:00:00.000Z".length;
/** The first time that a protobuf Timestamp can hold. */
const firstMs = Date.parse("0001-01-01T00:00:00.000Z");

/** The milliseconds of a time in exactly the form of `formatSignedAt`; undefined for anything else, 23:59:60 too. */
export function signedAtMs(text: string): number | undefined {
  if (text.length !== signedAtLength) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) || ms < firstMs || new Date(ms).toISOString() !== text ? undefined : ms;
}

/**
 * The form of `formatSignedAt` for any spelling of the same instant that protobuf JSON, Go, Python or Java writes: 0, 3, 6 or 9 fraction
 * digits or as many as are needed, and `Z`, `z` or `+00:00`. Undefined for anything else, and for parts of a millisecond.
 */
export function canonicalSignedAt(text: string): string | undefined {
  const [, seconds, fraction = ""] = spelling.exec(text) ?? [];
  if (seconds === undefined) return undefined;
  const canonical = `${seconds}.${fraction.slice(0, 3).padEnd(3, "0")}Z`;
  return signedAtMs(canonical) === undefined ? undefined : canonical;
}

const spelling = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,3}0{0,6}))?(?:[Zz]|\+00:00)$/;
