/**
 * Static tokens: `fkt_` and 32 random bytes in base64url. The policy holds the SHA-256 of each, so that its readers
 * have no token; 256 random bits need neither a salt nor a slow hash.
 */
import { randomSecret } from "../../crypto/random.ts";
import { hexDigest } from "../../crypto/sha256.ts";
import { tokenExpired, tokenRefused } from "./bearer.ts";
import type { Identity } from "../policy/identity.ts";
import type { StaticToken } from "../policy/trust.ts";

export interface StaticIdentity {
  readonly identity: Identity & { kind: "token" };
  /** When it expires; Infinity for one that never does. */
  readonly untilMs: number;
  readonly sha256: string;
}

export interface StaticTokens {
  /** Whose token one is: the same object each time. Throws UNAUTHENTICATED, or CREDENTIAL_EXPIRED past its end. */
  find(token: string): StaticIdentity;
  /** Whether one that was found, here or in a policy before, is good here and now. */
  has(found: StaticIdentity): boolean;
}

const tokenBytes = 32;

/** Makes a token, which is printed once, and its hash, which goes into the policy. */
export function newStaticToken(): { token: string; sha256: string } {
  const { buffer } = randomSecret(tokenBytes);
  const token = `fkt_${Buffer.from(buffer).toString("base64url")}`;
  return { token, sha256: sha256Of(token) };
}

/** Hash of a token in lower-case hex, as a policy has it. */
export function sha256Of(token: string): string {
  return hexDigest(token);
}

export function staticTokens(tokens: readonly StaticToken[], now: () => number): StaticTokens {
  const byHash = new Map(tokens.map((each) => [each.sha256, identityOf(each)]));
  return {
    find(token) {
      const found = byHash.get(sha256Of(token));
      if (found === undefined) throw tokenRefused("no static token of the policy");
      if (now() >= found.untilMs) throw tokenExpired(`static token ${found.identity.token}`);
      return found;
    },
    has({ sha256, identity }) {
      const current = byHash.get(sha256);
      return current !== undefined && current.identity.token === identity.token && now() < current.untilMs;
    },
  };
}

function identityOf({ name, expires, sha256 }: StaticToken): StaticIdentity {
  const identity = { kind: "token", token: name } as const;
  return { identity, untilMs: expires?.getTime() ?? Number.POSITIVE_INFINITY, sha256 };
}
