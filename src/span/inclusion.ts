/** That a log holds an entry: the path of RFC 6962, 2.1.1, and C2SP's tlog-proof around it. */
import { frontierAt, type Growth, hashBytes, newNodes, nodesIn, rootOf } from "./merkle.ts";

/** The hashes beside the way from a new leaf to the root, from the leaf up, 32 bytes each. */
export function inclusionPath(growth: Growth, index: number): Uint8Array {
  const hashes: Uint8Array[] = [];
  for (let level = 0; nodesIn(growth.after.size - 1, level) > 0; level += 1) {
    hashes.push(siblingOf(growth, level, nodesIn(index, level)));
  }
  return Buffer.concat(hashes);
}

/** The hash beside a node over a new leaf; empty where the node is the last of its level and has none beside it. */
function siblingOf(growth: Growth, level: number, node: number): Uint8Array {
  const { before, after } = growth;
  const sibling = node % 2 === 0 ? node + 1 : node - 1;
  const { start, hashes } = newNodes(growth, level);
  if (sibling < start) {
    const at = frontierAt(before, level);
    return before.frontier.subarray(at, at + hashBytes);
  }
  const at = (sibling - start) * hashBytes;
  if (at < hashes.length) return hashes.subarray(at, at + hashBytes);
  return sibling === nodesIn(after.size, level) ? incompleteNode(growth, level) : new Uint8Array();
}

/** The hash over the leaves behind the last complete node of a level: of the subtrees below that level; empty where there are none. */
function incompleteNode({ after }: Growth, level: number): Uint8Array {
  const frontier = after.frontier.subarray(frontierAt(after, level - 1));
  return frontier.length === 0 ? frontier : rootOf({ size: after.size % 2 ** level, frontier });
}

/**
 * C2SP tlog-proof, without extra data: the path from the leaf up and the signed note of the tree that it leads to the root of. A text of
 * UTF-8, as names in a note may be.
 */
export function inclusionProof(index: number, path: Uint8Array, checkpoint: string): string {
  let text = `c2sp.org/tlog-proof@v1\nindex ${index}\n`;
  for (let at = 0; at < path.length; at += hashBytes) {
    text += `${Buffer.from(path.subarray(at, at + hashBytes)).toString("base64")}\n`;
  }
  return `${text}\n${checkpoint}`;
}
