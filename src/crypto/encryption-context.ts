/**
 * Encryption context as bytes: one spelling per meaning, so that it can be authenticated.
 * Pairs are `u32be count`, then each key and value as `u32be length ‖ UTF-8`, sorted by the bytes of the key (beyond the
 * BMP that is not the order of JavaScript strings). Every length is written, so no two contexts share their bytes.
 */
import { invalidField } from "../errors.ts";

/** Non-secret pairs, authenticated and not stored: they must be given again to decrypt. A Map, as `{}` has `__proto__`. */
export type EncryptionContext = ReadonlyMap<string, string>;

/** Non-secret pairs that are authenticated with a secret that a provider wraps, and must be given again to open it. */
export type ProviderContext = Readonly<Record<string, string>>;

export const maxContextPairs = 16;

/** Keys and values together, in UTF-8 bytes. */
export const maxContextBytes = 4096;

const lengthBytes = 4;
/** What `canonicalPairs` gives most callers: nobody may write to it. */
const noPairs = Buffer.alloc(lengthBytes);
const contextLabel = Buffer.from("fluo-kms/context/v1");
// Many contexts in a row are of one tenant.
let lastTenantId = "";
let lastStart: Uint8Array = Buffer.concat([contextLabel, Buffer.alloc(lengthBytes)]);
const providerContextLabel = Buffer.from("fluo-kms/provider-context/v1");

/** The encryption_context of a request as pairs, unchecked. protobuf-es makes every key of a map an own property, `__proto__` too. */
export function contextPairs(map: Readonly<Record<string, string>>): EncryptionContext {
  return new Map(Object.entries(map));
}

/** The caller's pairs, encoded once a call and given to `canonicalContext` for each field: to be read alone. Throws INVALID_ARGUMENT. */
export function canonicalPairs(pairs: EncryptionContext): Uint8Array {
  if (pairs.size === 0) return noPairs;
  checkCheaply(pairs);
  const encoded = [...pairs].map(([key, value]) => [Buffer.from(key), Buffer.from(value)] as const);
  const contentBytes = encoded.reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (contentBytes > maxContextBytes) throw contextTooLong();
  encoded.sort(([a], [b]) => Buffer.compare(a, b));

  const out = Buffer.allocUnsafe(lengthBytes * (1 + 2 * encoded.length) + contentBytes);
  let at = out.writeUInt32BE(encoded.length, 0);
  for (const [key, value] of encoded) at = writePrefixed(out, writePrefixed(out, at, key), value);
  return out;
}

/**
 * What binds a ciphertext to its tenant, field and context: label, tenant_id, field name (empty for a data key), pairs.
 * `pairs` comes from `canonicalPairs`. Throws INVALID_ARGUMENT for text that UTF-8 cannot write.
 */
export function canonicalContext(tenantId: string, fieldName: string, pairs: Uint8Array): Uint8Array {
  const start = startOf(tenantId);
  const fieldBytes = utf8Length("name", fieldName);
  const out = Buffer.allocUnsafe(start.length + lengthBytes + fieldBytes + pairs.length);
  out.set(start);
  let at = out.writeUInt32BE(fieldBytes, start.length);
  at += out.write(fieldName, at);
  out.set(pairs, at);
  return out;
}

/** Label and tenant, to be read alone. */
function startOf(tenantId: string): Uint8Array {
  if (tenantId !== lastTenantId) {
    const start = Buffer.alloc(contextLabel.length + lengthBytes + utf8Length("tenant_id", tenantId));
    start.set(contextLabel);
    writePrefixed(start, contextLabel.length, Buffer.from(tenantId));
    [lastTenantId, lastStart] = [tenantId, start];
  }
  return lastStart;
}

/** A record's provider context, for a provider that binds it locally. */
export function providerContextBytes(context: ProviderContext): Uint8Array {
  return Buffer.concat([providerContextLabel, canonicalPairs(new Map(Object.entries(context)))]);
}

/** Refuses before any byte is encoded: text is never shorter in UTF-8 than in UTF-16 code units. */
function checkCheaply(pairs: EncryptionContext): void {
  if (pairs.size > maxContextPairs) {
    throw invalidField("encryption_context", `at most ${maxContextPairs} pairs, not ${pairs.size}`);
  }
  let codeUnits = 0;
  for (const [key, value] of pairs) {
    codeUnits += key.length + value.length;
    if (codeUnits > maxContextBytes) throw contextTooLong();
    if (!key.isWellFormed() || !value.isWellFormed()) throw notUtf8("encryption_context");
  }
}

function utf8Length(field: string, text: string): number {
  if (!text.isWellFormed()) throw notUtf8(field);
  return Buffer.byteLength(text);
}

/** Returns the offset behind what was written. */
function writePrefixed(out: Buffer, at: number, bytes: Uint8Array): number {
  const start = out.writeUInt32BE(bytes.length, at);
  out.set(bytes, start);
  return start + bytes.length;
}

function contextTooLong() {
  return invalidField("encryption_context", `keys and values are at most ${maxContextBytes} bytes together`);
}

/** Lone surrogates all encode to the same replacement character, so contexts that differ would collide. */
function notUtf8(field: string) {
  return invalidField(field, "must be valid UTF-8");
}
