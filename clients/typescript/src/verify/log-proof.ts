/**
 * C2SP tlog-proof: an entry's index, its inclusion path of RFC 6962, and the signed note of a C2SP tlog-checkpoint, as text that verifies
 * offline.
 */
import { canonicalBase64 } from "./bytes.ts";
import { type Crypto, hashBytes } from "./crypto.ts";
import type { Inclusion, TreeHead } from "./merkle.ts";
import { type Note, type NoteKey, parseNote, signersOf } from "./signed-note.ts";

/** Name of the format in `audit.integrity.algorithm` and in the first line of a proof. */
export const logProofAlgorithm = "c2sp.org/tlog-proof@v1";

/** How far a log went. */
export interface Checkpoint extends TreeHead {
  /** The log's name. */
  origin: string;
}

/** A checkpoint as it was signed. Nothing of it is verified. */
export interface SignedCheckpoint {
  checkpoint: Checkpoint;
  note: Note;
}

/** A log proof in its parts, and what it is the proof of. Nothing of it is verified. */
export interface LogEvidence extends Inclusion, SignedCheckpoint {}

/** No tree has more levels: sizes are safe integers. */
const maxPathHashes = 53;

/** Reads a text; undefined for one that is no log proof with a checkpoint in it. */
export type ProofReader = (text: string) => Omit<LogEvidence, "leaf"> | undefined;

/** Reads one proof behind the other. What a proof has in common with the one before, as in a batch, is decoded and held in memory once. */
export function proofReader(): ProofReader {
  let checkpoint: { text: string; signed: SignedCheckpoint | undefined } | undefined;
  const hashes: { text: string; hash: Uint8Array | undefined }[] = [];

  function checkpointOf(text: string): SignedCheckpoint | undefined {
    if (checkpoint?.text !== text) checkpoint = { text, signed: parseSignedCheckpoint(text) };
    return checkpoint.signed;
  }

  function hashOf(text: string, level: number): Uint8Array | undefined {
    if (hashes[level]?.text !== text) hashes[level] = { text, hash: canonicalBase64(text) };
    return hashes[level].hash;
  }

  return (text) => {
    const end = text.indexOf("\n\n");
    const [format, ...lines] = text.slice(0, Math.max(end, 0)).split("\n");
    if (format !== logProofAlgorithm) return undefined;
    // Extra data is authenticated by nothing, and passed over.
    if (lines[0]?.startsWith("extra ") && canonicalBase64(lines.shift()!.slice("extra ".length)) === undefined)
      return undefined;
    const index = parseIndex(/^index (.+)$/.exec(lines.shift() ?? "")?.[1] ?? "");
    if (index === undefined || lines.length > maxPathHashes) return undefined;
    const path = lines.map(hashOf).filter((hash) => hash?.length === hashBytes) as Uint8Array[];
    if (path.length !== lines.length) return undefined;
    const signed = checkpointOf(text.slice(end + 2));
    return signed && { index, path, ...signed };
  };
}

/**
 * A note without an empty line in its text, so that several may stand one behind the other. No note has more characters or signatures; without
 * bounds, lines by the million would take more than the stack.
 */
const noteForm = /(?:(?!— ).{1,131072}\n){1,131072}\n(?:— .{1,131072}\n){1,64}\s*/guy;

/**
 * Checkpoints that somebody kept in a text, one behind the other; it may have the line ends of Windows and a byte order mark, which were
 * not signed. Undefined for a text that has anything else, or none.
 */
export function parseKeptCheckpoints(kept: string): SignedCheckpoint[] | undefined {
  const text = kept.replace(/^\ufeff/, "").replaceAll("\r\n", "\n");
  const notes = text.match(noteForm) ?? [];
  const checkpoints = notes.map((note) => parseSignedCheckpoint(`${note.trimEnd()}\n`));
  const isWhole = notes.length > 0 && notes.join("") === text && !checkpoints.includes(undefined);
  return isWhole ? (checkpoints as SignedCheckpoint[]) : undefined;
}

function parseSignedCheckpoint(text: string): SignedCheckpoint | undefined {
  const note = parseNote(text);
  const checkpoint = note && parseCheckpoint(note.text);
  return checkpoint && { checkpoint, note: note! };
}

/** The keys that signed a checkpoint by the name of its log; undefined where a signature of one of them does not hold. */
export function logSigners<Key extends NoteKey>(
  { checkpoint, note }: SignedCheckpoint,
  keys: readonly Key[],
  crypto: Crypto,
): Promise<Key[] | undefined> {
  const named = keys.filter(({ name }) => name === checkpoint.origin);
  return signersOf(note, named, crypto);
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
export function parseIndex(text: string): number | undefined {
  const value = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}
