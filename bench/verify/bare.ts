/** What a span costs at least, without reading it: its hashes, and a signature for a span that is signed apart. */
import { hash, randomBytes } from "node:crypto";
import { signingKey, verifySignature } from "../../src/crypto/ed25519.ts";

export interface Work {
  spans: number;
  signatures: boolean;
}

const message = Buffer.alloc(434, 7);
const node = Buffer.alloc(65, 7);

/** Seconds by what the command has for it, one after the other. */
export function bareInNode({ spans, signatures }: Work): number {
  const key = signingKey(randomBytes(32));
  const signature = key.sign(message);
  const start = performance.now();
  for (let span = 0; span < spans; span += 1) {
    hash("sha256", message);
    if (signatures) verifySignature(key.publicKey, message, signature);
    else for (const input of [message, node, node]) hash("sha256", input);
  }
  return (performance.now() - start) / 1000;
}

/** A script that resolves with the seconds by WebCrypto, for so many spans at a time as the page takes. */
export function bareInPage({ spans, signatures }: Work): string {
  return `(async () => {
    const { subtle } = crypto;
    const [message, node] = [new Uint8Array(434).fill(7), new Uint8Array(65).fill(7)];
    const { privateKey, publicKey } = await subtle.generateKey("Ed25519", false, ["sign", "verify"]);
    const signature = await subtle.sign("Ed25519", privateKey, message);
    async function span() {
      await subtle.digest("SHA-256", message);
      if (${signatures}) await subtle.verify("Ed25519", publicKey, signature, message);
      else for (const input of [message, node, node]) await subtle.digest("SHA-256", input);
    }
    const start = performance.now();
    for (let done = 0; done < ${spans}; done += 128) await Promise.all(Array.from({ length: 128 }, span));
    return (performance.now() - start) / 1000;
  })()`;
}
