/**
 * The bearer token of a call (RFC 6750), judged by its form alone; and what a caller is told if its token is refused.
 */
import { KmsError } from "../../errors.ts";

export interface Bearer {
  /** A static token is one of ours, by its prefix. */
  readonly kind: "static" | "jwt";
  readonly token: string;
}

export const maxTokenBytes = 8 * 1024;
const staticPattern = /^fkt_[A-Za-z0-9_-]{43}$/;
/** JWS compact serialisation, with a signature (RFC 7515 §7.1). */
const jwtPattern = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/**
 * Finds the token in the `authorization` headers of a call, each as it was sent; undefined if there is none. Throws
 * UNAUTHENTICATED.
 */
export function bearerOf(authorization: readonly string[]): Bearer | undefined {
  const [header, second] = authorization;
  if (header === undefined) return undefined;
  if (second !== undefined) throw tokenRefused("two authorization headers");
  const scheme = header.slice(0, 7);
  if (scheme.toLowerCase() !== "bearer ") throw tokenRefused("the scheme is not Bearer");
  const token = header.slice(scheme.length);
  if (token.length > maxTokenBytes) throw tokenRefused(`longer than ${maxTokenBytes} bytes`);
  if (staticPattern.test(token)) return { kind: "static", token };
  if (jwtPattern.test(token)) return { kind: "jwt", token };
  throw tokenRefused("neither a static token nor a signed JWT");
}

/** Makes UNAUTHENTICATED. The reason is for the log: a caller with a forged token learns nothing. */
export function tokenRefused(reason: string, cause?: unknown): KmsError {
  const text = "the token is not accepted";
  return new KmsError("UNAUTHENTICATED", text, { inLog: `${text}: ${reason}`, cause });
}

/** Makes CREDENTIAL_EXPIRED, for a token that was good. */
export function tokenExpired(whose: string): KmsError {
  const text = "the token has expired";
  return new KmsError("CREDENTIAL_EXPIRED", text, { inLog: `${text}: ${whose}` });
}

const shownKidLength = 64;

/** Names a token in the log, once its issuer is known: the entry of the policy, and the key id in printable ASCII. */
export function tokenOf(issuer: string, kid: string | undefined): string {
  const shown = kid?.slice(0, shownKidLength).replace(/[^\x20-\x7e]/g, "?");
  return `issuer ${issuer}, ${shown === undefined ? "no kid" : `kid ${JSON.stringify(shown)}`}`;
}
