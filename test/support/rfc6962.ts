/** The definitions of RFC 6962, 2.1, as recursive as they stand there. D is a list of leaf hashes. */
import { nodeHash } from "../../src/tlog/merkle.ts";

type Hashes = readonly Uint8Array[];

/** MTH(D[n]), n > 0. */
export function treeHash(D: Hashes): Uint8Array {
  if (D.length === 1) return D[0]!;
  const k = split(D.length);
  return nodeHash(treeHash(D.slice(0, k)), treeHash(D.slice(k)));
}

/** PATH(m, D[n]). */
export function path(m: number, D: Hashes): Uint8Array[] {
  if (D.length === 1) return [];
  const k = split(D.length);
  if (m < k) return [...path(m, D.slice(0, k)), treeHash(D.slice(k))];
  return [...path(m - k, D.slice(k)), treeHash(D.slice(0, k))];
}

/** PROOF(m, D[n]), 0 < m <= n. */
export function proof(m: number, D: Hashes): Uint8Array[] {
  return subproof(m, D, true);
}

function subproof(m: number, D: Hashes, b: boolean): Uint8Array[] {
  if (m === D.length) return b ? [] : [treeHash(D)];
  const k = split(D.length);
  if (m <= k) return [...subproof(m, D.slice(0, k), b), treeHash(D.slice(k))];
  return [...subproof(m - k, D.slice(k), false), treeHash(D.slice(0, k))];
}

/** The largest power of two less than n. */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}
