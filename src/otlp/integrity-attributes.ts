/**
 * The five attributes on a span that carry its signature. They are strings, are not part of the canonical form, and do not count against
 * the limit of a list: a span with the most attributes there can be must still verify once they are on it.
 */
import type { Json } from "./jcs.ts";
import { quote, textFrom } from "./jcs.ts";
import { readJson } from "../encoding/json.ts";
import { refusedAt } from "../encoding/wire-error.ts";

/** Attributes of later releases: nobody else may use these names. */
const reservedPrefix = "audit.integrity.fluo.";

export interface Integrity {
  algorithm?: string;
  /** Base64 of the signature, or of the proof's text. */
  value?: string;
  keyId?: string;
  tenant?: string;
  signedAt?: string;
}

/** In the order in which SignSpan gives them. */
export const integrityKeys: Readonly<Record<keyof Integrity, string>> = {
  algorithm: "audit.integrity.algorithm",
  value: "audit.integrity.value",
  keyId: "audit.integrity.key_id",
  tenant: "audit.integrity.tenant",
  signedAt: "audit.integrity.signed_at",
};

const fieldOf: ReadonlyMap<string, keyof Integrity> = new Map(
  Object.entries(integrityKeys).map(([field, key]) => [key, field as keyof Integrity]),
);

const forms: Readonly<Record<keyof Integrity, string>> = {
  algorithm: "must be EdDSA or c2sp.org/tlog-proof@v1",
  value: "must be the base64 of a signature, which has 64 bytes, or of a log proof",
  keyId: "must be 32 lower-case hex digits, and must not be there beside a log proof",
  tenant: "must be the tenant in whose name the span was signed",
  signedAt: "must be a time of RFC 3339 in UTC, without parts of a millisecond, such as 2026-01-02T03:04:05.678Z",
};

/** True if a span has one of the five at least. */
export function hasEvidence(integrity: Integrity): boolean {
  return Object.keys(integrity).length > 0;
}

/** Says which of the five is missing or malformed, and how it must be. Never shows what it is. */
export function wrongAttribute(integrity: Integrity, field: keyof Integrity): string {
  if (!hasEvidence(integrity)) return "the span carries no evidence: put the attributes on it that signing gave";
  return `${integrityKeys[field]} ${integrity[field] === undefined ? "is missing: it " : ""}${forms[field]}`;
}

export const namesAnotherTenant = `${integrityKeys.tenant} names another tenant`;

/** Whether an attribute of this name is of the signature. */
export function isIntegrityKey(key: string): boolean {
  return fieldOf.has(key);
}

/** What all of these names begin with, as a member of an object. */
const memberStart = new Uint8Array(Buffer.from('"audit.integrity.'));

/**
 * Whether the attribute that is written from `start` on, with a comma, is one of the five; it is then kept in `integrity`. Reserved names are
 * refused. Other people's processors write names that begin alike, which are as ordinary as any.
 */
export function takeIntegrity(json: Json, start: number, integrity: Integrity): boolean {
  for (let i = 0; i < memberStart.length; i += 1) if (json.bytes[start + i] !== memberStart[i]) return false;
  const key = keyAt(json, start);
  if (key.startsWith(reservedPrefix))
    throw refusedAt("key", `names that begin with ${reservedPrefix} are reserved; name it otherwise`);
  const field = fieldOf.get(key);
  if (field === undefined) return false;
  const { [key]: value } = readJson(`{${textFrom(json, start).slice(0, -1)}}`) as Record<
    string,
    { stringValue?: string } | null
  >;
  if (integrity[field] !== undefined) throw refusedAt("key", "another attribute has the same key; keep one");
  if (value?.stringValue === undefined) throw refusedAt("value", "an attribute of the signature is a string");
  integrity[field] = value.stringValue;
  return true;
}

/** The name of a member up to the first quote in it, as it is written: that is all of it where nothing is escaped. */
function keyAt({ bytes }: Json, start: number): string {
  return bytes.toString("utf8", start + 1, bytes.indexOf(quote, start + 1));
}
