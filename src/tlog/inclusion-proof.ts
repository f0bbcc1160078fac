/**
 * C2SP tlog-proof: that an entry is in a log, as text that verifies offline. The first line names the format; extra data may follow, which
 * nothing authenticates; then the entry's index, its inclusion path, an empty line, and the checkpoint's note.
 */
import { canonicalBase64 } from "../encoding/base64.ts";
import { parseIndex } from "../encoding/digits.ts";
import { hashBytes } from "./merkle.ts";

export interface TlogProof {
  index: number;
  /** The inclusion path of RFC 6962: hashes of 32 bytes, one behind the other, from the leaf up. */
  path: Uint8Array;
  /** The signed note, as it is. */
  checkpoint: string;
}

/** Names the format, as a proof's first line and as `audit.integrity.algorithm`. */
export const logProofAlgorithm = "c2sp.org/tlog-proof@v1";

/** No tree has more levels: sizes are safe integers. */
const maxPathHashes = 53;
const hashLineBytes = "\n".length + 4 * Math.ceil(hashBytes / 3);

/** Upper bound of the bytes of a proof in this checkpoint. */
export function maxProofBytes(checkpoint: string): number {
  const head = `${logProofAlgorithm}\nindex ${Number.MAX_SAFE_INTEGER}\n\n`;
  return head.length + maxPathHashes * hashLineBytes + Buffer.byteLength(checkpoint);
}

export function tlogProofText({ index, path, checkpoint }: TlogProof): string {
  let text = `${logProofAlgorithm}\nindex ${index}\n`;
  for (const hash of hashesOf(path)) text += `${Buffer.from(hash).toString("base64")}\n`;
  return `${text}\n${checkpoint}`;
}

/** Undefined for a text that is not a proof. Extra data is passed over. The checkpoint was not looked at yet. */
export function parseTlogProof(text: string): TlogProof | undefined {
  const end = text.indexOf("\n\n");
  const [format, ...lines] = text.slice(0, Math.max(end, 0)).split("\n");
  if (format !== logProofAlgorithm) return undefined;
  if (lines[0]?.startsWith("extra ") && canonicalBase64(lines.shift()!.slice("extra ".length)) === undefined)
    return undefined;
  const index = parseIndex(/^index (.+)$/.exec(lines.shift() ?? "")?.[1] ?? "");
  const hashes = lines.map(canonicalBase64);
  if (index === undefined || hashes.length > maxPathHashes) return undefined;
  if (!hashes.every((hash) => hash?.length === hashBytes)) return undefined;
  return { index, path: Buffer.concat(hashes as Uint8Array[]), checkpoint: text.slice(end + 2) };
}

/** The hashes of a path, as views. */
export function hashesOf(path: Uint8Array): Uint8Array[] {
  return Array.from({ length: path.length / hashBytes }, (_, i) => path.subarray(i * hashBytes, (i + 1) * hashBytes));
}
