/** What the page needs of a browser, tried before a file is given. */

const advice =
  "Open it in Chrome or Edge 137, Firefox 129, Safari 17 or later, or verify the files by the command fluo-kms verify.";

/** Returns a sentence about what is missing, or undefined if nothing is. */
export async function missingInBrowser(): Promise<string | undefined> {
  if (typeof Worker !== "function")
    return `This browser has no workers, without which the page can verify nothing. ${advice}`;
  if (globalThis.crypto?.subtle === undefined)
    return `This browser offers no cryptography (WebCrypto) to this page, so it can check neither hashes nor signatures. ${advice}`;
  try {
    await crypto.subtle.generateKey({ name: "Ed25519" }, false, ["sign", "verify"]);
    return undefined;
  } catch {
    return `This browser cannot check signatures of the kind that the spans have (Ed25519), so the page can verify nothing here. ${advice}`;
  }
}
