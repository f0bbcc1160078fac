/**
 * Salts, cut from blocks of random bytes: a call of the generator costs a microsecond and more, however few bytes it gives.
 * Not for secrets, which would lie in memory before their use.
 */
import { randomFillSync } from "node:crypto";

const saltsABlock = 128;

/** Each call writes the next salt, of `saltBytes`, to the start of `salt`. */
export function saltSource(saltBytes: number): (salt: Uint8Array) => void {
  const block = Buffer.allocUnsafeSlow(saltsABlock * saltBytes);
  let next = block.length;
  return (salt) => {
    if (next === block.length) {
      randomFillSync(block);
      next = 0;
    }
    for (let i = 0; i < saltBytes; i += 1) salt[i] = block[next + i]!;
    next += saltBytes;
  };
}
