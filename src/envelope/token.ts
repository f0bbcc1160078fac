/**
 * The text form of an encrypted value: `fk1.` and the envelope in unpadded base64url (RFC 4648 §5).
 * Only the canonical spelling is a token: node's decoder takes several for the same bytes.
 */
import { ciphertextRejected, KmsError } from "../errors.ts";
import { envelopeVersion, maxEnvelopeBytes } from "./envelope.ts";

const prefix = "fk1.";

/** Characters of a token of the longest value, 64 KiB. */
export const maxTokenLength = prefix.length + Math.ceil((maxEnvelopeBytes * 4) / 3);

/** Of all bytes, or of the first `length`. */
export function encodeToken(envelope: Buffer, length = envelope.length): string {
  return prefix + envelope.toString("base64url", 0, length);
}

/** Reserved prefixes of texts that this service does not open, and their purposes: docs/TOKENS.md. */
const reserved: ReadonlyMap<string, string> = new Map([
  ["fl1.", "what a client library seals and opens by itself"],
  ["fh1.", "public-key sealing"],
  ["fp1.", "public-key sealing"],
  ["fb1.", "blind indexes"],
]);

/** Kind of an envelope that is reserved for tokens of subjects. */
const subjectKind = 0x03;

/** Error for a reserved token. It names the prefix or the kind, which anybody can read. */
function reservedToken(what: string): KmsError {
  return new KmsError("INVALID_ARGUMENT", `${what}; the service opens what EncryptPii gives`);
}

/** The envelope, not yet parsed. Throws CIPHERTEXT_REJECTED, and INVALID_ARGUMENT for what is reserved. */
export function decodeToken(token: string): Buffer {
  const start = token.slice(0, prefix.length);
  const purpose = reserved.get(start);
  if (purpose !== undefined) throw reservedToken(`${start} is for ${purpose}`);
  if (token.length > maxTokenLength || !token.startsWith(prefix)) throw ciphertextRejected();
  const envelope = Buffer.from(token.slice(prefix.length), "base64url");
  if (encodeToken(envelope) !== token) throw ciphertextRejected();
  if (envelope[0] === envelopeVersion && envelope[1] === subjectKind)
    throw reservedToken(`kind ${subjectKind} of fk1. is for tokens of subjects`);
  return envelope;
}
