/** PEM (RFC 7468): blocks of base64 under labels, with any text between them, as bundles of certificates come. */
import { canonicalBase64 } from "./base64.ts";

export interface PemBlock {
  readonly label: string;
  readonly der: Uint8Array;
  /** The block alone. */
  readonly text: string;
}

const start = "-----BEGIN ";
const form = /^([A-Z0-9 ]{1,64})-----\s([A-Za-z0-9+/=\s]*)-----END \1-----/;

/** The blocks, or what is wrong with the text: one that is cut short or damaged is a problem of the whole. */
export function readPem(text: string): readonly PemBlock[] | string {
  const [before = "", ...parts] = text.split(start);
  const blocks: PemBlock[] = [];
  for (const part of parts) {
    const [block = "", label = "", body = ""] = form.exec(part) ?? [];
    const der = canonicalBase64(body.replaceAll(/\s/g, ""));
    if (block === "" || der === undefined) return `block ${blocks.length + 1} is cut short or is not base64`;
    if (part.slice(block.length).includes("-----")) return `block ${blocks.length + 1} has a broken one behind it`;
    blocks.push({ label, der, text: `${start}${block}\n` });
  }
  return before.includes("-----") ? "the first block is broken" : blocks;
}
