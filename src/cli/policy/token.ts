/**
 * Whom a token proves under a policy, judged as the service judges it. An issuer is asked for its keys only where whoever runs the command
 * says so; without keys nothing is said of a token, since anybody can write one.
 */
import { realTime } from "../../runtime/time.ts";
import { keysOf } from "../../auth/in-force.ts";
import type { Identity } from "../../auth/policy/identity.ts";
import type { Policy } from "../../auth/policy/policy.ts";
import type { IssuerEntry } from "../../auth/policy/trust.ts";
import { bearerOf } from "../../auth/token/bearer.ts";
import { type KeySet, openKeySet } from "../../auth/token/issuer-keys.ts";
import { issuersOf } from "../../auth/token/issuers.ts";
import { createTokenCache } from "../../auth/token/cache.ts";
import { staticTokens } from "../../auth/token/static-token.ts";
import { KmsError } from "../../errors.ts";
import { Failure } from "../command.ts";

export interface TokenParts {
  /** Policy with absolute paths. */
  policy: Policy;
  /** Whether an issuer may be asked for its keys. */
  mayFetch: boolean;
  /** Variables by which Node's agents find proxies. */
  proxies: Readonly<Record<string, string>>;
  now(): number;
}

/** Throws a Failure that says why the service would refuse the token, and has no part of it. */
export async function provenBy(token: string, parts: TokenParts): Promise<{ identity: Identity; notes: string[] }> {
  const { policy, now } = parts;
  const opened = new Map<string, KeySet>();
  try {
    if (bearerOf([`Bearer ${token}`])?.kind === "static") {
      return { identity: staticTokens(policy.tokens, now).find(token).identity, notes: [] };
    }
    const issuers = issuersOf(policy, undefined, (entry) => keysWhenAsked(entry, parts, opened));
    const { identity, thumbprint } = await createTokenCache({
      issuers: () => issuers,
      isNamed: () => true,
      now,
    }).identify(token, "");
    return { identity, notes: thumbprint === undefined ? [] : [bound] };
  } catch (error) {
    if (error instanceof KmsError) throw new Failure(error.inLog ?? error.message);
    throw error;
  } finally {
    for (const keys of opened.values()) keys.close();
  }
}

const bound = "the token is bound to a client certificate: the service refuses it on any other connection";

/** Makes a key set that asks the issuer of the token, and no other of the policy. */
function keysWhenAsked(entry: IssuerEntry, parts: TokenParts, opened: Map<string, KeySet>): KeySet {
  const { name, keys } = entry;
  return {
    key(kid, algorithm) {
      if (keys.from !== "file" && !parts.mayFetch) throw new Failure(unfetched(name));
      const found =
        opened.get(name) ?? openKeySet({ ...keysOf(entry, { profile: "dev", ...parts, time: realTime }), maxStaleMs });
      opened.set(name, found);
      return found.key(kid, algorithm);
    },
    lacks: (kid) => opened.get(name)?.lacks(kid) === true,
    has: (fingerprint) => opened.get(name)?.has(fingerprint) === true,
    reload: async () => {},
    state: () => ({ keys: 0, ageMs: undefined, openMs: 0, problem: undefined }),
    close: () => {},
  };
}

const maxStaleMs = 60_000;

function unfetched(name: string): string {
  return `the keys of issuer ${name} are not in a file, so the token's signature cannot be verified; --fetch asks the issuer for them, and --issuer ${name} --claims FILE takes claims as they are`;
}
