/** The encryption_context of a request as pairs. Counts and lengths are checked by canonicalPairs. */
import type { EncryptionContext } from "../crypto/encryption-context.ts";

/** protobuf-es makes every key of a map an own property, `__proto__` too, which Object.entries then gives. */
export function contextPairs(map: Readonly<Record<string, string>>): EncryptionContext {
  return new Map(Object.entries(map));
}
