/**
 * C2SP signed-note: a text that ends in a line feed, an empty line, and a line `— <name> <base64 of key id ‖ signature>` for each signature
 * over the text. A verifier key is `<name>+<key id>+<base64 of 0x01 ‖ key>`. Ed25519 alone; other signatures are passed over.
 */
import { canonicalBase64, concat, hexText, utf8Bytes } from "./bytes.ts";
import { type Crypto, publicKeyBytes } from "./crypto.ts";

/** A key under the name by which it signs notes. */
export interface NoteKey {
  name: string;
  /** 32 bytes. */
  publicKey: Uint8Array;
  /** 8 hex digits, made of name and key. It tells keys apart and commits to nothing. */
  noteKeyId: string;
}

export interface Note {
  whole: string;
  /** What is signed. */
  text: string;
  signatures: readonly { name: string; noteKeyId: string; signature: Uint8Array }[];
}

const ed25519 = 0x01;
const maxNoteLength = 128 * 1024;
const maxSignatures = 64;
const keyIdBytes = 4;
/** Without spaces and `+`. */
const keyName = /^[^\p{White_Space}+]+$/u;

/** Undefined for a text that is no verifier key of this algorithm. */
export async function parseVerifierKey(text: string, crypto: Crypto): Promise<NoteKey | undefined> {
  // Base64 may hold a + too.
  const {
    name = "",
    id = "",
    base64 = "",
  } = /^(?<name>[^+]+)\+(?<id>[0-9a-f]{8})\+(?<base64>.+)$/u.exec(text)?.groups ?? {};
  const bytes = canonicalBase64(base64);
  if (bytes?.length !== 1 + publicKeyBytes || bytes[0] !== ed25519 || !keyName.test(name)) return undefined;
  if (!name.isWellFormed()) return undefined;
  const digest = await crypto.sha256(concat([utf8Bytes(`${name}\n`), bytes]));
  if (hexText(digest.subarray(0, keyIdBytes)) !== id) return undefined;
  return { name, publicKey: bytes.subarray(1), noteKeyId: id };
}

/** Undefined for what is no note. Nothing is verified. */
export function parseNote(note: string): Note | undefined {
  if (note.length > maxNoteLength || !note.isWellFormed() || /[^\P{Cc}\n\x7f-\x9f]/u.test(note)) return undefined;
  // The last empty line divides: the text may have some, too.
  const end = note.lastIndexOf("\n\n");
  if (end < 0 || !note.endsWith("\n")) return undefined;
  const lines = note.slice(end + 2, -1).split("\n");
  if (lines.length > maxSignatures) return undefined;
  const signatures = lines.map(parseSignature).filter((each) => each !== undefined);
  return signatures.length === lines.length ? { whole: note, text: note.slice(0, end + 1), signatures } : undefined;
}

/**
 * Those of `keys` that signed the note; undefined where a signature of one of them does not hold, which spoils the whole note. Of several
 * signatures by one key the first counts.
 */
export async function signersOf<Key extends NoteKey>(
  note: Note,
  keys: readonly Key[],
  crypto: Crypto,
): Promise<Key[] | undefined> {
  const message = utf8Bytes(note.text);
  const seen = new Set<string>();
  const signers: Key[] = [];
  for (const { name, noteKeyId, signature } of note.signatures) {
    const named = keys.filter((key) => key.name === name && key.noteKeyId === noteKeyId);
    const id = `${noteKeyId} ${name}`;
    if (named.length === 0 || seen.has(id)) continue;
    seen.add(id);
    let signer: Key | undefined;
    for (const key of named) if (await crypto.isSignedBy(key.publicKey, message, signature)) signer ??= key;
    if (signer === undefined) return undefined;
    signers.push(signer);
  }
  return signers;
}

function parseSignature(line: string): Note["signatures"][number] | undefined {
  const { name, base64 } = /^— (?<name>.+) (?<base64>\S+)$/u.exec(line)?.groups ?? {};
  const bytes = canonicalBase64(base64 ?? "");
  if (name === undefined || !keyName.test(name) || bytes === undefined || bytes.length <= keyIdBytes) return undefined;
  return { name, noteKeyId: hexText(bytes.subarray(0, keyIdBytes)), signature: bytes.subarray(keyIdBytes) };
}
