/** The encryption_context of a request as pairs. */
import { invalidField } from "../errors.ts";
import type { EncryptionContext } from "../crypto/context.ts";

/**
 * Counts and lengths are checked by canonicalPairs. A key `__proto__` cannot be told from none in a protobuf map of
 * JavaScript once its value is a string, so the decoder's own property is asked for.
 */
export function contextPairs(map: Readonly<Record<string, string>>): EncryptionContext {
  const pairs = new Map(Object.entries(map));
  for (const value of pairs.values()) {
    if (typeof value !== "string") throw invalidField("encryption_context", "values are strings");
  }
  return pairs;
}
