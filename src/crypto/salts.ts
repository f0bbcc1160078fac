/**
 * Salts, cut from blocks of random bytes: a call of the generator costs a microsecond and more, however few bytes it gives.
 * Not for secrets, which would lie in memory before their use.
 */
import { randomFillSync } from "node:crypto";

const saltsABlock = 128;

/** Each call gives the next salt, to be copied at once: it is a view of its block. */
export function saltSource(saltBytes: number): () => Uint8Array {
  let block = Buffer.alloc(0);
  let at = 0;
  return () => {
    if (at === block.length) {
      block = randomFillSync(Buffer.allocUnsafeSlow(saltsABlock * saltBytes));
      at = 0;
    }
    at += saltBytes;
    return block.subarray(at - saltBytes, at);
  };
}
