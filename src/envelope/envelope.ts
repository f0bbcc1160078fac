/**
 * The envelope of everything that a data key encrypts:
 * `version 0x01 ‖ kind (0x01 PII, 0x02 data key) ‖ key_id (16) ‖ Cobblestone-256 ciphertext`.
 * The version fixes the algorithms; the header is authenticated in front of the canonical context.
 */
import type { DataKeyMaterial, DataKeyUse } from "./key-material.ts";
import { ciphertextRejected, invalidField, KmsError } from "../errors.ts";
import { checkSealedLength, open, sealedLength, sealInto } from "./cobblestone.ts";

/** The longest plaintext of an envelope. */
export const maxValueBytes = 65_536;

export const envelopeVersion = 0x01;
const kinds: Readonly<Record<DataKeyUse, number>> = { pii: 0x01, "data-key": 0x02 };
const keyIdStart = 2;
const headerBytes = 18;

// Many envelopes in a row are of one key.
const lastHeader = Buffer.alloc(headerBytes);
let lastKind: DataKeyUse | undefined;
let lastKeyId = "";

export const maxEnvelopeBytes = headerBytes + sealedLength(maxValueBytes);

/** The key that seals, with the id by which a reader finds it again. */
export interface SealingKey {
  /** 32 lower-case hex digits. */
  keyId: string;
  material: DataKeyMaterial;
}

export interface Envelope {
  keyId: string;
  /** The 18 bytes in front of the ciphertext. */
  header: Uint8Array;
  /** Cobblestone-256, of a length that a plaintext can have. */
  ciphertext: Uint8Array;
}

/** `canonicalContext` is that of crypto/encryption-context.ts. Throws INVALID_ARGUMENT for more than 64 KiB. */
export function sealEnvelope(
  kind: DataKeyUse,
  key: SealingKey,
  canonicalContext: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const envelope = Buffer.allocUnsafe(envelopeLength(plaintext.length));
  sealEnvelopeInto(envelope, kind, key, canonicalContext, plaintext);
  return envelope;
}

/** The same to the start of `envelope`, which has room for `maxEnvelopeBytes`, or for as many as it gets. Returns their number. */
export function sealEnvelopeInto(
  envelope: Uint8Array,
  kind: DataKeyUse,
  { keyId, material }: SealingKey,
  canonicalContext: Uint8Array,
  plaintext: Uint8Array,
): number {
  if (plaintext.length > maxValueBytes) throw invalidField("value", `at most ${maxValueBytes} bytes`);
  const header = headerOf(kind, keyId);
  envelope.set(header);
  sealInto(envelope, headerBytes, material.inputKey(kind), [header, canonicalContext], plaintext);
  return envelopeLength(plaintext.length);
}

function envelopeLength(plaintextBytes: number): number {
  return headerBytes + sealedLength(plaintextBytes);
}

/** Structure and length only, to find the key: nothing of it is authentic yet. Throws CIPHERTEXT_REJECTED. */
export function parseEnvelope(kind: DataKeyUse, bytes: Uint8Array): Envelope {
  if (bytes.length < headerBytes || bytes.length > maxEnvelopeBytes) throw ciphertextRejected();
  if (bytes[0] !== envelopeVersion || bytes[1] !== kinds[kind]) throw ciphertextRejected();
  checkSealedLength(bytes.length - headerBytes);
  return {
    keyId: Buffer.from(bytes.subarray(keyIdStart, headerBytes)).toString("hex"),
    header: bytes.subarray(0, headerBytes),
    ciphertext: bytes.subarray(headerBytes),
  };
}

/** Throws CIPHERTEXT_REJECTED for every failure. The caller owns, and overwrites, the result. */
export function openEnvelope(
  kind: DataKeyUse,
  material: DataKeyMaterial,
  canonicalContext: Uint8Array,
  bytes: Uint8Array,
): Uint8Array {
  const { header, ciphertext } = parseEnvelope(kind, bytes);
  return open(material.inputKey(kind), [header, canonicalContext], ciphertext);
}

/** To be read alone, and at once. */
function headerOf(kind: DataKeyUse, keyId: string): Uint8Array {
  if (kind !== lastKind || keyId !== lastKeyId) {
    if (!/^[0-9a-f]{32}$/.test(keyId)) throw new KmsError("INTERNAL", "a key id is 32 lower-case hex digits");
    lastHeader[0] = envelopeVersion;
    lastHeader[1] = kinds[kind];
    lastHeader.write(keyId, keyIdStart, "hex");
    [lastKind, lastKeyId] = [kind, keyId];
  }
  return lastHeader;
}
