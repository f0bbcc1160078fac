/**
 * The secrets that a provider wraps: their lengths, and data keys that are made here, for a provider that makes none.
 */
import { randomBytes } from "node:crypto";
import { invalidField } from "../errors.ts";
import { type DataKey, maxWrappedPlaintextBytes } from "./provider.ts";

export const dataKeyBytes = 32;

/** Throws INVALID_ARGUMENT for a plaintext that `encrypt` does not take. */
export function checkPlaintext({ length }: Uint8Array): void {
  if (isPlaintextLength(length)) return;
  throw invalidField("plaintext", `must be 1 to ${maxWrappedPlaintextBytes} bytes, not ${length}`);
}

/** Whether `encrypt` takes so many bytes, and `decrypt` may give them back. */
export function isPlaintextLength(length: number): boolean {
  return length >= 1 && length <= maxWrappedPlaintextBytes;
}

/** Returns a copy whose last bit is another. */
export function withLastBitFlipped(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (copy.length > 0) copy[copy.length - 1]! ^= 1;
  return copy;
}

/** Makes a data key and wraps it. The plaintext is overwritten if that fails. */
export async function freshDataKey(wrap: (plaintext: Uint8Array) => Promise<Uint8Array>): Promise<DataKey> {
  const plaintext = randomBytes(dataKeyBytes);
  try {
    return { plaintext, wrapped: await wrap(plaintext) };
  } catch (error) {
    plaintext.fill(0);
    throw error;
  }
}
