/** A public key as C2SP signed-note writes it for verifiers: `<name>+<key id>+<base64 of 0x01 ‖ key>`. */
import { createHash } from "node:crypto";
import { KmsError } from "../errors.ts";
import { canonicalBase64 } from "../encoding/base64.ts";

const ed25519 = 0x01;
const keyBytes = 32;

/** Not empty, without spaces and `+`: an origin such as `kms.example.com/acme`. */
export const noteKeyName = /^[^\p{White_Space}+]+$/u;

/** A key under the name by which it signs notes. */
export interface VerifierKey {
  name: string;
  /** 32 bytes, Ed25519. */
  publicKey: Uint8Array;
}

/** The vkey of an Ed25519 public key. */
export function verifierKey(name: string, publicKey: Uint8Array): string {
  if (!noteKeyName.test(name))
    throw new KmsError("INTERNAL", "a note's key name is not empty and has no space and no +");
  if (publicKey.length !== keyBytes) throw new KmsError("INTERNAL", `an Ed25519 public key has ${keyBytes} bytes`);
  return `${name}+${noteKeyId(name, publicKey).toString("hex")}+${encoded(publicKey).toString("base64")}`;
}

/** Undefined for a text that `verifierKey` cannot have written: other algorithms too. */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  // Base64 may hold a + too.
  const { name = "", base64 = "" } = /^(?<name>[^+]+)\+[0-9a-f]{8}\+(?<base64>.+)$/u.exec(text)?.groups ?? {};
  const bytes = canonicalBase64(base64);
  if (bytes?.length !== 1 + keyBytes || !noteKeyName.test(name) || !name.isWellFormed()) return undefined;
  const publicKey = new Uint8Array(bytes.subarray(1));
  return verifierKey(name, publicKey) === text ? { name, publicKey } : undefined;
}

/** The four bytes that tell a name's keys apart in a note. An identifier, not a commitment: collisions are easy to make. */
export function noteKeyId(name: string, publicKey: Uint8Array): Buffer {
  return createHash("sha256").update(`${name}\n`).update(encoded(publicKey)).digest().subarray(0, 4);
}

function encoded(publicKey: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(ed25519), publicKey]);
}
