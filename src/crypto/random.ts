/**
 * Random bytes for a secret of each call, from the system's generator: by libsodium where its addon loads, because node's makes a job
 * for each, which costs four times as much: a quarter of what it costs to encrypt the secret.
 */
import { randomFillSync } from "node:crypto";
import { loadSodium, type Sodium } from "./sodium.ts";

type RandomSecret = (length: number) => Uint8Array;

// One a thread, made on first use.
let chosen: RandomSecret | undefined;

/** The caller owns, and overwrites, the result. */
export function randomSecret(length: number): Uint8Array {
  chosen ??= randomSecrets(loadSodium());
  return chosen(length);
}

export function randomSecrets(sodium: Pick<Sodium, "randombytes_buf"> | undefined): RandomSecret {
  return (length) => {
    const secret = Buffer.allocUnsafeSlow(length);
    if (sodium) sodium.randombytes_buf(secret);
    else randomFillSync(secret);
    return secret;
  };
}
