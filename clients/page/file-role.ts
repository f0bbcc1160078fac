/** The role of a file by what is in it: an OTLP export, a key set, or checkpoints. Its name says nothing. */
import type { Exhibit } from "../../src/verification-report/facts.ts";

export type Role = Exhibit["role"];

/** No key set and no checkpoint is longer; of a longer file the beginning has to do. */
const headBytes = 1024 * 1024;
const spanListNames: readonly unknown[] = ["resourceSpans", "resource_spans"];

/**
 * Undefined for what is none of these. Few bytes make a protobuf, which counts only where no other kind of file was asked for: a damaged
 * checkpoint must not replace the export.
 */
export async function roleOf(file: Blob, asked: Role | undefined): Promise<Role | undefined> {
  const head = new Uint8Array(await file.slice(0, headBytes).arrayBuffer());
  if ((asked ?? "spans") === "spans" && isProtobuf(head, file.size)) return "spans";
  const text = new TextDecoder().decode(head).replaceAll("\r\n", "\n");
  if (isNote(text)) return "checkpoints";
  const name = /^\s*\{\s*"([^"]*)"/.exec(text)?.[1];
  if (spanListNames.includes(name)) return "spans";
  return name === "keys" || hasKeys(text) ? "keys" : undefined;
}

/** Whether it is field 1, with a length, as often as the head shows. */
function isProtobuf(head: Uint8Array, size: number): boolean {
  let at = 0;
  while (at < head.length) {
    if (head[at] !== 0x0a) return false;
    let length = 0;
    let factor = 1;
    for (at += 1; at < head.length && head[at]! >= 0x80; at += 1, factor *= 0x80) length += (head[at]! & 0x7f) * factor;
    if (at >= head.length) return head.length < size;
    length += head[at]! * factor;
    at += 1 + length;
  }
  return head.length > 0 && at <= size;
}

/** An origin, a size, a hash, and lines of signatures. */
function isNote(text: string): boolean {
  return /^\ufeff?[^\n]+\n\d+\n[^\n]+\n(?:[^\n]+\n)*\n— \S/.test(text);
}

/** A key set may have other members in front of its keys. */
function hasKeys(text: string): boolean {
  try {
    const { keys } = JSON.parse(text);
    return Array.isArray(keys);
  } catch {
    return false;
  }
}

/** The end of the algorithm's name, as the attribute has it; JSON may escape the slash in front. */
const logProofName = "tlog-proof@v1";
const pieceBytes = 4 * 1024 * 1024;
/** No more of a file is searched: it is only about a default. */
const searchedBytes = 64 * 1024 * 1024;

/** Whether a span of the export has a log proof, as far as it seems. */
export async function seemsOfLog(file: Blob): Promise<boolean> {
  for (let at = 0; at < Math.min(file.size, searchedBytes); at += pieceBytes - logProofName.length) {
    const piece = await file.slice(at, at + pieceBytes).arrayBuffer();
    if (new TextDecoder("latin1").decode(piece).includes(logProofName)) return true;
  }
  return false;
}
