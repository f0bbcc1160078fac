/**
 * The text form of an encrypted value: `fk1.` and the envelope in unpadded base64url (RFC 4648 §5).
 * Only the canonical spelling is a token: node's decoder takes several for the same bytes.
 */
import { ciphertextRejected } from "../errors.ts";
import { maxEnvelopeBytes } from "./envelope.ts";

const prefix = "fk1.";

/** Characters of a token of the longest value, 64 KiB. */
export const maxTokenLength = prefix.length + Math.ceil((maxEnvelopeBytes * 4) / 3);

/** Of all bytes, or of the first `length`. */
export function encodeToken(envelope: Buffer, length = envelope.length): string {
  return prefix + envelope.toString("base64url", 0, length);
}

/** The envelope, not yet parsed. Throws CIPHERTEXT_REJECTED. */
export function decodeToken(token: string): Buffer {
  if (token.length > maxTokenLength || !token.startsWith(prefix)) throw ciphertextRejected();
  const envelope = Buffer.from(token.slice(prefix.length), "base64url");
  if (encodeToken(envelope) !== token) throw ciphertextRejected();
  return envelope;
}
