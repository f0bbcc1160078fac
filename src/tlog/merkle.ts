/**
 * The Merkle tree of a log (RFC 6962, SHA-256), as it grows. What is kept of a tree to grow it is its frontier: the hashes of the complete
 * subtrees that it is made of, one for each bit of its size, widest first. Every sibling on the path of a new leaf is one of those, or new
 * itself, so that neither growing nor proving a new leaf reads anything of the old ones.
 *
 * A node is named by its level (a leaf is at 0) and its index at that level.
 */
import { hash } from "node:crypto";
import { KmsError } from "../errors.ts";
import { digestBytes, writeDigest } from "../crypto/sha256.ts";
import { copyWords, viewOf } from "../encoding/digits.ts";

export const hashBytes = digestBytes;

/** The root of a tree without leaves: the hash of nothing. */
export const emptyRoot: Uint8Array = hash("sha256", "", "buffer");

export interface Tree {
  /** Number of leaves. */
  size: number;
  /** Hashes of 32 bytes, one for each bit that is set in `size`, highest first. */
  frontier: Uint8Array;
}

export const emptyTree: Tree = { size: 0, frontier: new Uint8Array() };

/** How a tree became another by more leaves: enough to prove each of these in the tree that it is now. */
export interface Growth {
  before: Tree;
  after: Tree;
  /** Of `after`. */
  root: Uint8Array;
  /**
   * All hashes that a path of a new leaf may need, in shared memory, which threads pass on as it is: the nodes that became complete, by level
   * from the leaves up (see `newNodes`); the frontier of `before`; and for each level, up to the root's, the hash of what lies behind its last
   * complete node, where there is something.
   */
  nodes: Uint8Array;
}

/** What of a growth it takes to prove the leaves that it added: threads pass it on with each batch. */
export interface NewNodes extends Pick<Growth, "nodes"> {
  before: Pick<Tree, "size">;
  after: Pick<Tree, "size">;
}

/** RFC 6962, 2.1: what a leaf's entry is hashed behind, as text. */
export const leafPrefix = "\0";

/** RFC 6962, 2.1: the hash of 0x00 and the entry. */
export function leafHash(entry: Uint8Array): Uint8Array {
  const input = Buffer.allocUnsafe(1 + entry.length);
  input[0] = 0;
  input.set(entry, 1);
  return hash("sha256", input, "buffer");
}

const nodeInput = Buffer.alloc(1 + 2 * hashBytes, 1);
const nodeInputView = viewOf(nodeInput);

/** RFC 6962, 2.1: the hash of 0x01, left and right. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  const node = Buffer.allocUnsafe(hashBytes);
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + hashBytes);
  writeDigest(node, 0, nodeInput);
  return node;
}

/** The root of a tree: its complete subtrees, put together from the narrowest on. */
export function rootOf({ frontier }: Tree): Uint8Array {
  if (frontier.length === 0) return emptyRoot;
  let root: Uint8Array = frontier.slice(-hashBytes);
  for (let at = frontier.length - 2 * hashBytes; at >= 0; at -= hashBytes) {
    root = nodeHash(frontier.subarray(at, at + hashBytes), root);
  }
  return root;
}

/** `leaves` are leaf hashes of 32 bytes, one behind the other, which become the leaves from `before.size` on. */
export function growTree(before: Tree, leaves: Uint8Array): Growth {
  if (before.frontier.length !== hashBytes * bitsIn(before.size) || leaves.length % hashBytes !== 0) {
    throw new KmsError("INTERNAL", "a tree's frontier has a hash for each bit of its size, and leaves have 32 bytes");
  }
  const size = before.size + leaves.length / hashBytes;
  const newBytes = hashBytes * countNewNodes(before.size, size);
  const edgeBytes = hashBytes * (heightOf(size) + 1);
  const nodes = Buffer.from(new SharedArrayBuffer(newBytes + before.frontier.length + edgeBytes));
  const view = viewOf(nodes);
  nodes.set(leaves);
  nodes.set(before.frontier, newBytes);
  let [below, at] = [0, leaves.length];
  for (let level = 1; at < newBytes; level += 1) {
    const levelAt = at;
    const [start, end] = [nodesIn(before.size, level), nodesIn(size, level)];
    const old = newBytes + frontierAt(before, level - 1);
    let left = below + (2 * start - nodesIn(before.size, level - 1)) * hashBytes;
    for (let index = start; index < end; index += 1, at += hashBytes, left += 2 * hashBytes) {
      // The first node may have an old one on its left.
      const first = left < below ? old : left;
      copyWords(nodeInputView, 1, view, first, first + hashBytes);
      copyWords(nodeInputView, 1 + hashBytes, view, left + hashBytes, left + 2 * hashBytes);
      writeDigest(nodes, at, nodeInput);
    }
    below = levelAt;
  }
  const after = { size, frontier: frontierAfter(before, size, nodes) };
  writeEdges(after, nodes.subarray(newBytes + before.frontier.length));
  return { before, after, root: rootOf(after), nodes };
}

/** Of each level the hash over the complete subtrees below it, which are the frontier's last ones. */
function writeEdges({ size, frontier }: Tree, edges: Uint8Array): void {
  let edge: Uint8Array | undefined;
  let at = frontier.length;
  for (let level = 0; level * hashBytes < edges.length; level += 1) {
    if (edge) edges.set(edge, level * hashBytes);
    if (nodesIn(size, level) % 2 === 0) continue;
    at -= hashBytes;
    const last = frontier.subarray(at, at + hashBytes);
    edge = edge ? nodeHash(last, edge) : last;
  }
}

/** The complete nodes of a level that the growth made: the hash of node `start` and of those that follow. Views, not copies. */
export function newNodes({ before, after, nodes }: Growth, level: number): { start: number; hashes: Uint8Array } {
  let at = 0;
  for (let each = 0; each < level; each += 1) at += nodesIn(after.size, each) - nodesIn(before.size, each);
  const start = nodesIn(before.size, level);
  const count = nodesIn(after.size, level) - start;
  return { start, hashes: nodes.subarray(at * hashBytes, (at + count) * hashBytes) };
}

/** Levels from the leaves to the root. */
export function heightOf(size: number): number {
  let height = 0;
  while (2 ** height < size) height += 1;
  return height;
}

/** How many nodes of a level are complete in a tree of `size` leaves. */
export function nodesIn(size: number, level: number): number {
  return Math.floor(size / 2 ** level);
}

/** Where in the frontier the complete subtree of a level is that ends it; only where that bit of the size is set. */
export function frontierAt({ size }: Pick<Tree, "size">, level: number): number {
  return hashBytes * bitsIn(nodesIn(size, level + 1));
}

function frontierAfter(before: Tree, size: number, nodes: Uint8Array): Uint8Array {
  const hashes: Uint8Array[] = [];
  let at = 0;
  for (let level = 0; nodesIn(size, level) > 0; level += 1) {
    const [start, end] = [nodesIn(before.size, level), nodesIn(size, level)];
    if (end % 2 === 1) {
      const last = at + (end - 1 - start) * hashBytes;
      const old = frontierAt(before, level);
      hashes.push(end > start ? nodes.slice(last, last + hashBytes) : before.frontier.slice(old, old + hashBytes));
    }
    at += (end - start) * hashBytes;
  }
  return Buffer.concat(hashes.reverse());
}

function countNewNodes(from: number, to: number): number {
  let count = 0;
  for (let level = 0; nodesIn(to, level) > nodesIn(from, level); level += 1) {
    count += nodesIn(to, level) - nodesIn(from, level);
  }
  return count;
}

function bitsIn(size: number): number {
  let bits = 0;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits;
}
