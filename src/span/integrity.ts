/**
 * The five attributes on a span that carry its signature. They are strings, are not part of the canonical form, and do not count against
 * the limit of a list: a span with the most attributes there can be must still verify once they are on it.
 */
import type { Json } from "./json.ts";
import { textFrom } from "./json.ts";
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

const memberStart = new Uint8Array(Buffer.from(`"${integrityPrefix}`));

/**
 * Whether the attribute that is written from `start` on, with a comma, is one of the five; it is then kept in `integrity`. Others with the
 * prefix are refused.
 */
export function takeIntegrity(json: Json, start: number, integrity: Integrity): boolean {
  for (let i = 0; i < memberStart.length; i += 1) if (json.bytes[start + i] !== memberStart[i]) return false;
  const [[key, value]] = Object.entries(JSON.parse(`{${textFrom(json, start).slice(0, -1)}}`)) as [
    [string, { stringValue?: string } | null],
  ];
  const field = fieldOf.get(key);
  if (field === undefined) {
    throw refusedAt("key", `only the signature's own attributes may begin with ${integrityPrefix}; name it otherwise`);
  }
  if (integrity[field] !== undefined) throw refusedAt("key", "another attribute has the same key; keep one");
  if (value?.stringValue === undefined) throw refusedAt("value", "an attribute of the signature is a string");
  integrity[field] = value.stringValue;
  return true;
}
