/** Distrust of answers, as far as every provider's look the same: lengths. What does not have them may pass. */
import { KmsError } from "../errors.ts";
import type { DataKey } from "./provider.ts";
import { dataKeyBytes, isPlaintextLength } from "./secrets.ts";

const maxWrappedBytes = 8192;

export function checkDataKey({ plaintext, wrapped }: DataKey): DataKey {
  if (plaintext.length !== dataKeyBytes) {
    plaintext.fill(0);
    throw distrusted(`answered with a data key of ${plaintext.length} bytes`);
  }
  return { plaintext, wrapped: checkWrapped(wrapped) };
}

export function checkOpened(plaintext: Uint8Array): Uint8Array {
  if (isPlaintextLength(plaintext.length)) return plaintext;
  plaintext.fill(0);
  throw distrusted(`opened a wrapped key to ${plaintext.length} bytes`);
}

export function checkWrapped(wrapped: Uint8Array): Uint8Array {
  if (wrapped.length >= 1 && wrapped.length <= maxWrappedBytes) return wrapped;
  throw distrusted(`answered with a wrapped key of ${wrapped.length} bytes`);
}

function distrusted(what: string): KmsError {
  return new KmsError("PROVIDER_UNAVAILABLE", `the provider ${what}`);
}
