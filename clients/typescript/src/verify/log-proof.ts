/**
 * C2SP tlog-proof: an entry's index, its inclusion path of RFC 6962, and the signed note of a C2SP tlog-checkpoint, as text that verifies
 * offline.
 */
import { canonicalBase64, concat, isSame } from "./bytes.ts";
import { type Crypto, hashBytes } from "./crypto.ts";
import { type Note, parseNote } from "./signed-note.ts";

/** Name of the format in `audit.integrity.algorithm` and in the first line of a proof. */
export const logProofAlgorithm = "c2sp.org/tlog-proof@v1";

/** How far a log went. */
export interface Checkpoint {
  /** The log's name. */
  origin: string;
  /** Number of its entries. */
  size: number;
  /** 32 bytes. */
  root: Uint8Array;
}

/** Nothing of it is verified. */
export interface LogEvidence {
  index: number;
  /** Hashes of 32 bytes, from the leaf up. */
  path: readonly Uint8Array[];
  checkpoint: Checkpoint;
  note: Note;
}

/** No tree has more levels: sizes are safe integers. */
const maxPathHashes = 53;

/** Undefined for a text that is no log proof with a checkpoint in it. */
export function parseLogProof(text: string): LogEvidence | undefined {
  const end = text.indexOf("\n\n");
  const [format, ...lines] = text.slice(0, Math.max(end, 0)).split("\n");
  if (format !== logProofAlgorithm) return undefined;
  // Extra data is authenticated by nothing, and passed over.
  if (lines[0]?.startsWith("extra ") && canonicalBase64(lines.shift()!.slice("extra ".length)) === undefined)
    return undefined;
  const index = parseIndex(/^index (.+)$/.exec(lines.shift() ?? "")?.[1] ?? "");
  const path = lines.map(canonicalBase64).filter((hash) => hash?.length === hashBytes) as Uint8Array[];
  if (index === undefined || path.length !== lines.length || path.length > maxPathHashes) return undefined;
  const note = parseNote(text.slice(end + 2));
  const checkpoint = note && parseCheckpoint(note.text);
  return checkpoint === undefined ? undefined : { index, path, checkpoint, note: note! };
}

/** RFC 6962, 2.1. */
export function leafHash(entry: Uint8Array, crypto: Crypto): Promise<Uint8Array> {
  return crypto.sha256(concat([Uint8Array.of(0), entry]));
}

/** Whether the leaf is in the checkpoint's tree at its index: RFC 9162, 2.1.3.2. */
export async function isIncluded(leaf: Uint8Array, evidence: LogEvidence, crypto: Crypto): Promise<boolean> {
  const { index, path, checkpoint } = evidence;
  if (index >= checkpoint.size) return false;
  // Both count nodes of the present level. They may have more bits than operators on bits take.
  let [node, last] = [index, checkpoint.size - 1];
  const up = () => {
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  };
  let root = leaf;
  for (const sibling of path) {
    if (last === 0) return false;
    const isLeft = node % 2 === 1 || node === last;
    root = await crypto.sha256(concat([Uint8Array.of(1), ...(isLeft ? [sibling, root] : [root, sibling])]));
    // The last node of a level may have no sibling there, and is then that of the next.
    if (isLeft) while (node % 2 === 0 && node !== 0) up();
    up();
  }
  return last === 0 && isSame(root, checkpoint.root);
}

/** Lines behind the root mean nothing here. */
function parseCheckpoint(text: string): Checkpoint | undefined {
  const lines = text.slice(0, -1).split("\n");
  const [origin, sizeText = "", rootText = ""] = lines;
  const size = parseIndex(sizeText);
  const root = canonicalBase64(rootText);
  if (origin === undefined || lines.includes("") || size === undefined || root?.length !== hashBytes) return undefined;
  return { origin, size, root };
}

/** ASCII decimal without leading zeros, up to 2^53 - 1. */
function parseIndex(text: string): number | undefined {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}
