/**
 * C2SP signed-note: a text that ends in a line feed, an empty line, and a line `— <name> <base64 of key id ‖ signature>` for each signature,
 * which is over the text. Ed25519 alone.
 */
import { KmsError } from "../errors.ts";
import { noteKeyId } from "./vkey.ts";

/** Who signs a note. */
export interface NoteSigner {
  /** The key's name: the origin of a log. */
  name: string;
  key: { readonly publicKey: Uint8Array; sign(message: Uint8Array): Uint8Array };
}

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
