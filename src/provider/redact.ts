/**
 * What a provider says of a failure, for the log: one line of limited length, without what looks like a secret. A provider has no reason
 * to say one; a proxy before it that sends a request back, or a server that is not well, may.
 */

const maxWords = 1_000;
/** Tokens of Vault and of Google, JSON web tokens, and 32 bytes in base64: keys. */
const secrets = /\b(hv[bsr]|[bsr])\.[\w-]{20,}|\bya29\.[\w.-]{20,}|\beyJ[\w-]+\.[\w-]+\.[\w-]*|[A-Za-z0-9+/]{43}=/g;

export function wordsIn(text: string): string {
  const [line = ""] = text.split("\n", 1);
  return line.slice(0, maxWords).replace(secrets, "(hidden)");
}
