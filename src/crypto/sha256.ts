/** SHA-256 as it is taken several times a span. */
import { hash } from "node:crypto";

export const digestBytes = 32;

/**
 * As Latin-1, to be written into its place: a `Buffer` a digest costs three times as much as the digest. Where its length is not said,
 * node:crypto asks each time whether the algorithm is one without a length of its own.
 */
const form = { outputEncoding: "latin1", outputLength: digestBytes } as const;
const hexForm = { outputEncoding: "hex", outputLength: digestBytes } as const;

export function hexDigest(input: string | Uint8Array): string {
  return hash("sha256", input, hexForm);
}

export function writeDigest(out: Buffer, at: number, input: Uint8Array): void {
  out.write(hash("sha256", input, form), at, "latin1");
}
