/** What of the platform the verifier uses: what browsers, Node and Deno have in common, without the types of any of them. */

/** What of WebCrypto's SubtleCrypto the verifier calls: SHA-256, and Ed25519 by raw public keys. */
export interface Subtle {
  digest(algorithm: "SHA-256", data: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer>;
  importKey(
    format: "raw",
    keyData: Uint8Array<ArrayBuffer>,
    algorithm: { name: "Ed25519" },
    extractable: boolean,
    keyUsages: "verify"[],
  ): Promise<object>;
  verify(
    algorithm: { name: "Ed25519" },
    key: object,
    signature: Uint8Array<ArrayBuffer>,
    data: Uint8Array<ArrayBuffer>,
  ): Promise<boolean>;
}

interface Platform {
  crypto?: { subtle?: Subtle };
  /** Both take characters up to U+00FF for bytes. Throw for any other text. */
  atob(base64: string): string;
  btoa(latin1: string): string;
  TextEncoder: new () => { encode(text: string): Uint8Array<ArrayBuffer> };
  TextDecoder: new (
    label: "utf-8",
    options: { fatal: true; ignoreBOM: boolean },
  ) => {
    /** Throws for what is not UTF-8. */
    decode(bytes: Uint8Array): string;
  };
}

export const { atob, btoa, TextDecoder, TextEncoder } = globalThis as unknown as Platform;

/** The platform's own. Throws where there is none: pages have it over https and on localhost alone. */
export function ownSubtle(): Subtle {
  const { crypto } = globalThis as unknown as Platform;
  if (crypto?.subtle === undefined)
    throw new Error("there is no WebCrypto here: serve the page over https, or pass a SubtleCrypto as `subtle`");
  return crypto.subtle;
}
