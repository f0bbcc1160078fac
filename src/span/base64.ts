/** Base64 (RFC 4648, section 4) in the one spelling that encodes back: several decode to the same bytes. */

/** Undefined for any other text. */
export function canonicalBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}
