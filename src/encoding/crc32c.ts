/** CRC-32C, Castagnoli's polynomial (RFC 3720 §12.1), reflected, as Cloud KMS has it; `zlib.crc32` is another. Against accidents, not attackers. */

const reflectedPolynomial = 0x82f63b78;
const remainders = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit += 1) remainder = (remainder >>> 1) ^ (remainder & 1 ? reflectedPolynomial : 0);
  return remainder;
});

/** From 0 to 2³² − 1. */
export function crc32c(bytes: Uint8Array): number {
  let remainder = 0xffffffff;
  for (const byte of bytes) remainder = (remainder >>> 8) ^ remainders[(remainder ^ byte) & 255]!;
  return ~remainder >>> 0;
}
