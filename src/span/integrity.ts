/**
 * The five attributes on a span that carry its signature. They are strings, are not part of the canonical form, and do not count against
 * the limit of a list: a span with the most attributes there can be must still verify once they are on it.
 */
import type { Entry } from "./json.ts";
import { refusedAt } from "./refusal.ts";

export const integrityPrefix = "audit.integrity.";

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

const stringValue = '{"stringValue":';

/** Whether the attribute is one of the five; it is then kept in `integrity`. Others with the prefix are refused. */
export function takeIntegrity(entry: Entry, integrity: Integrity): boolean {
  if (!entry.key.startsWith(integrityPrefix)) return false;
  const field = fieldOf.get(entry.key);
  if (field === undefined) {
    throw refusedAt("key", `only the signature's own attributes may begin with ${integrityPrefix}; name it otherwise`);
  }
  if (integrity[field] !== undefined) throw refusedAt("key", "another attribute has the same key; keep one");
  if (!entry.value.startsWith(stringValue)) throw refusedAt("value", "an attribute of the signature is a string");
  integrity[field] = JSON.parse(entry.value).stringValue;
  return true;
}
