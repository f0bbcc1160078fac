/**
 * That a log holds an entry which it just took in: paths of RFC 6962, 2.1.1, and C2SP's tlog-proof around them, for a whole batch. What the
 * proofs of neighbours share is written once: from the fourth level on they go the same way for sixteen leaves, from the eighth for 256.
 */
import { writeBase64 } from "../encoding/base64.ts";
import { decimalDigits, viewOf, writeDecimal } from "../encoding/digits.ts";
import { frontierAt, hashBytes, heightOf, type NewNodes } from "./merkle.ts";

/** The hashes beside the way from a new leaf to the root, from the leaf up, 32 bytes each. */
export function inclusionPath(growth: NewNodes, index: number): Uint8Array {
  const { height, siblingAt } = siblingsIn(growth);
  const hashes: Uint8Array[] = [];
  for (let level = 0, node = index; level < height; level += 1, node = Math.floor(node / 2)) {
    const at = siblingAt(level, node);
    if (at !== none) hashes.push(growth.nodes.subarray(at, at + hashBytes));
  }
  return Buffer.concat(hashes);
}

export interface ProofWriter {
  /** Length of a leaf's proof in bytes. It is what `write` then writes. */
  measure(index: number): number;
  /** Returns the offset behind it. */
  write(at: number): number;
}

const lineFeed = 0x0a;
const tierLevels = 4;
const tierLeaves = 2 ** tierLevels;
const lineBytes = 45;
const head = Buffer.from("c2sp.org/tlog-proof@v1\nindex ");

/** Proofs of the leaves that a growth added, in the tree that it led to, whose signed note is `checkpoint`. They are written in `out`. */
export function proofWriter(growth: NewNodes, checkpoint: string, out: Buffer): ProofWriter {
  const { nodes } = growth;
  const view = viewOf(out);
  const { height, siblingAt } = siblingsIn(growth);
  const end = Buffer.from(`\n${checkpoint}`);
  /** The last one that was needed of each tier. */
  const ends: { node: number; text: Buffer }[] = [];
  const lines = new Int32Array(tierLevels);
  let count = 0;
  let leaf = 0;
  let rest: Buffer = end;

  /** Where the siblings on the way up from a node are, as far as its tier goes. */
  function findLines(level: number, node: number): void {
    count = 0;
    const top = Math.min(level + tierLevels, height);
    for (let up = level, at = node; up < top; up += 1, at = Math.floor(at / 2)) {
      const sibling = siblingAt(up, at);
      if (sibling === none) continue;
      lines[count] = sibling;
      count += 1;
    }
  }

  function writeLines(text: DataView, start: number): number {
    let at = start;
    for (let line = 0; line < count; line += 1) {
      at = writeBase64(text, at, nodes, lines[line]!, lines[line]! + hashBytes);
      text.setUint8(at, lineFeed);
      at += 1;
    }
    return at;
  }

  /** The text from the sibling of a node on, which all leaves under it have in common. */
  function endFrom(level: number, node: number): Buffer {
    if (level >= height) return end;
    const tier = level / tierLevels;
    const known = ends[tier];
    if (known?.node === node) return known.text;
    const above = endFrom(level + tierLevels, Math.floor(node / tierLeaves));
    findLines(level, node);
    const text = Buffer.allocUnsafe(count * lineBytes + above.length);
    text.set(above, writeLines(viewOf(text), 0));
    ends[tier] = { node, text };
    return text;
  }

  return {
    measure(index) {
      rest = endFrom(tierLevels, Math.floor(index / tierLeaves));
      findLines(0, index);
      leaf = index;
      return head.length + decimalDigits(index) + 1 + count * lineBytes + rest.length;
    },
    write(start) {
      out.set(head, start);
      let at = writeDecimal(view, start + head.length, leaf);
      view.setUint8(at, lineFeed);
      at = writeLines(view, at + 1);
      out.set(rest, at);
      return at + rest.length;
    },
  };
}

const none = -1;

interface Siblings {
  /** Levels from the leaves to the root. */
  height: number;
  /** Where in the growth's nodes the hash beside a node over a new leaf is; `none` for the last of its level, which may have none. */
  siblingAt(level: number, node: number): number;
}

function siblingsIn({ before, after, nodes }: NewNodes): Siblings {
  const height = heightOf(after.size);
  const [starts, ends, olds, offsets]: [number[], number[], number[], number[]] = [[], [], [], []];
  /** Whether a level has something behind its last complete node. */
  const cut: boolean[] = [];
  let newNodes = 0;
  for (let level = 0, [from, to] = [before.size, after.size]; level <= height; level += 1) {
    starts.push(from);
    ends.push(to);
    olds.push(frontierAt(before, level));
    offsets.push(newNodes);
    cut.push(after.size > to * 2 ** level);
    newNodes += (to - from) * hashBytes;
    [from, to] = [Math.floor(from / 2), Math.floor(to / 2)];
  }
  const frontier = newNodes;
  const edges = nodes.length - (height + 1) * hashBytes;
  return {
    height,
    siblingAt(level, node) {
      const sibling = node % 2 === 0 ? node + 1 : node - 1;
      if (sibling < starts[level]!) return frontier + olds[level]!;
      if (sibling < ends[level]!) return offsets[level]! + (sibling - starts[level]!) * hashBytes;
      return sibling === ends[level] && cut[level] ? edges + level * hashBytes : none;
    },
  };
}
