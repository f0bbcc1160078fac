/** A public key as C2SP signed-note writes it for verifiers: `<name>+<key id>+<base64 of 0x01 ‖ key>`. */
import { createHash } from "node:crypto";
import { KmsError } from "../errors.ts";

const ed25519 = 0x01;
const keyBytes = 32;

/** The vkey of an Ed25519 public key. The name is an origin such as `kms.example.com/acme`: not empty, without spaces and `+`. */
export function verifierKey(name: string, publicKey: Uint8Array): string {
  if (!/^[^\s+]+$/u.test(name))
    throw new KmsError("INTERNAL", "a note's key name is not empty and has no space and no +");
  if (publicKey.length !== keyBytes) throw new KmsError("INTERNAL", `an Ed25519 public key has ${keyBytes} bytes`);
  return `${name}+${noteKeyId(name, publicKey).toString("hex")}+${encoded(publicKey).toString("base64")}`;
}

/** The four bytes that tell a name's keys apart in a note. An identifier, not a commitment: collisions are easy to make. */
export function noteKeyId(name: string, publicKey: Uint8Array): Buffer {
  return createHash("sha256").update(`${name}\n`).update(encoded(publicKey)).digest().subarray(0, 4);
}

function encoded(publicKey: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(ed25519), publicKey]);
}
