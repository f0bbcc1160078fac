/** C2SP tlog-checkpoint: a log's origin, size and root, as the text of a note, and that note signed. */
import { canonicalBase64 } from "../encoding/base64.ts";
import { parseIndex } from "../encoding/digits.ts";
import { hashBytes } from "./merkle.ts";
import { type NoteSigner, signNote } from "./signed-note.ts";

export interface Checkpoint {
  /** `<issuer>/<tenant_id>`, or `<issuer>/<tenant_id>/<n>` where the log is not number 1. */
  origin: string;
  size: number;
  /** 32 bytes. */
  root: Uint8Array;
}

/** The text that is signed. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${Buffer.from(root).toString("base64")}\n`;
}

/**
 * Signs a head: the one place that does. Ed25519 is deterministic, so the same head and keys give the same bytes on any replica. The service
 * signs a head once it is stored, for a batch (tenant-log/sequencer.ts) and for a reader (tenant-log/reader.ts). A handover alone is
 * signed before, by the old and the new key (tenant-log/handover.ts): if its transaction fails, the note is dropped.
 */
export function signCheckpoint(head: Checkpoint, ...keys: readonly NoteSigner["key"][]): string {
  return signNote(checkpointText(head), ...keys.map((key) => ({ name: head.origin, key })));
}

/** Undefined for a text that is no checkpoint. Lines behind the root, which mean nothing here, are allowed unless they are empty. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  if (!text.endsWith("\n")) return undefined;
  const lines = text.slice(0, -1).split("\n");
  const [origin, sizeText = "", rootText = ""] = lines;
  const size = parseIndex(sizeText);
  const root = canonicalBase64(rootText);
  if (origin === undefined || lines.includes("")) return undefined;
  return size === undefined || root?.length !== hashBytes ? undefined : { origin, size, root };
}
