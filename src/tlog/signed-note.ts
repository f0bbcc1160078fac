/**
 * C2SP signed-note: a text that ends in a line feed, an empty line, and a line `— <name> <base64 of key id ‖ signature>` for each signature,
 * which is over the text. Ed25519 alone; signatures of other kinds and of other keys may stand beside ours and are passed over.
 */
import { verifySignature } from "../crypto/ed25519.ts";
import { KmsError } from "../errors.ts";
import { canonicalBase64 } from "../encoding/base64.ts";
import { noteKeyId, noteKeyName, type VerifierKey } from "./verifier-key.ts";

/** Who signs a note. */
export interface NoteSigner {
  /** The key's name: the origin of a log. */
  name: string;
  key: { readonly publicKey: Uint8Array; sign(message: Uint8Array): Uint8Array };
}

export interface Note {
  /** As it was given. */
  whole: string;
  /** What is signed; ends in a line feed. */
  text: string;
  /** At least one. None of them was verified yet. */
  signatures: readonly NoteSignature[];
}

export interface NoteSignature {
  name: string;
  /** 4 bytes. */
  keyId: Uint8Array;
  /** Not empty. */
  signature: Uint8Array;
}

/** Sixteen of the longest signatures that there are fit in. */
const maxNoteLength = 128 * 1024;
const maxSignatures = 64;
const keyIdBytes = 4;

/** The signed note of `text`, with a signature of each signer, in their order. */
export function signNote(text: string, ...signers: readonly NoteSigner[]): string {
  if (!text.endsWith("\n")) throw new KmsError("INTERNAL", "a note's text ends in a line feed");
  const message = Buffer.from(text, "utf8");
  const lines = signers.map(({ name, key }) => {
    const signature = Buffer.concat([noteKeyId(name, key.publicKey), key.sign(message)]);
    return `— ${name} ${signature.toString("base64")}\n`;
  });
  return `${text}\n${lines.join("")}`;
}

/** Undefined for what is not a note: the form alone is looked at. */
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
 * Those of `keys` that signed the note, none if it is by others alone; undefined where a signature of one of them does not hold, which
 * spoils the whole note. Of several signatures by one key the first counts.
 */
export function signersOf<Key extends VerifierKey>(note: Note, keys: readonly Key[]): Key[] | undefined {
  const message = Buffer.from(note.text, "utf8");
  const unseen = Map.groupBy(keys, ({ name, publicKey }) => identifier(name, noteKeyId(name, publicKey)));
  const signers: Key[] = [];
  for (const { name, keyId, signature } of note.signatures) {
    const id = identifier(name, keyId);
    const named = unseen.get(id);
    if (named === undefined) continue;
    unseen.delete(id);
    const signer = named.find(({ publicKey }) => verifySignature(publicKey, message, signature));
    if (signer === undefined) return undefined;
    signers.push(signer);
  }
  return signers;
}

/** Of a key, or of several by chance: names have no space. */
function identifier(name: string, keyId: Uint8Array): string {
  return `${name} ${Buffer.from(keyId).toString("hex")}`;
}

function parseSignature(line: string): NoteSignature | undefined {
  const { name, base64 } = /^— (?<name>.+) (?<base64>\S+)$/u.exec(line)?.groups ?? {};
  const bytes = canonicalBase64(base64 ?? "");
  if (name === undefined || !noteKeyName.test(name) || bytes === undefined || bytes.length <= keyIdBytes)
    return undefined;
  return { name, keyId: bytes.subarray(0, keyIdBytes), signature: bytes.subarray(keyIdBytes) };
}
