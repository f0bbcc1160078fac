/** C2SP tlog-checkpoint: a log's origin, size and root, as the text of a note. */

export interface Checkpoint {
  /** `<issuer>/<tenant_id>`, or `<issuer>/<tenant_id>/<n>` for the n-th log of a tenant. */
  origin: string;
  size: number;
  /** 32 bytes. */
  root: Uint8Array;
}

/** The text that is signed. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${Buffer.from(root).toString("base64")}\n`;
}
