/**
 * Identities of tokens that were verified in the last 5 minutes, by the SHA-256 of the token: no token is kept. However
 * many calls wait, a token is verified once, and again when its issuer's entry or its key is no longer in force.
 */
import { LRUCache } from "lru-cache";
import type { MaybePromise } from "../../call/maybe-promise.ts";
import { hexDigest } from "../../crypto/sha256.ts";
import { hasCode, KmsError } from "../../errors.ts";
import type { FailureLimit } from "../../limits/failures.ts";
import { networkOf } from "../../limits/network-of.ts";
import { createFairTurns } from "../../runtime/turns/fair.ts";
import type { Identity } from "../policy/identity.ts";
import type { TokenIssuers } from "./issuers.ts";
import type { SigningKey } from "./jwks.ts";
import { readJwt, type UnverifiedToken, type VerifiedToken, verifyJwt } from "./jwt.ts";

/** Identity that a token proves, for as long as it stands. */
export interface TokenIdentity {
  readonly identity: Identity;
  /** Time at which the token expires here, its issuer's clock tolerance included. */
  readonly untilMs: number;
  /** SHA-256 in base64url of the one client certificate with which the token may be used. */
  readonly thumbprint: string | undefined;
  /** Tells whether it still proves this: not expired, with the issuer's entry and the key that verified it in force. */
  stands(): boolean;
}

export interface TokenCache {
  /**
   * Finds the identity of a token, at once if it is remembered. Throws UNAUTHENTICATED, CREDENTIAL_EXPIRED,
   * ISSUER_UNAVAILABLE, or RATE_LIMITED while too many wait or the network of `address` has failed too often. `address` is the peer's:
   * networks take turns.
   */
  identify(token: string, address: string): MaybePromise<TokenIdentity>;
  /** Number of tokens that are remembered. */
  size(): number;
}

export interface TokenCacheParts {
  /** Issuers in force, which a reload may change. */
  issuers(): TokenIssuers;
  /** Whether some rule names an identity. */
  isNamed(identity: Identity): boolean;
  /** Milliseconds since 1970. */
  now(): number;
  /** Undefined if any number of failures is allowed. */
  failures?: FailureLimit | undefined;
}

export const rememberMs = 300_000;
export const refusedMs = 10_000;
const maxTokens = 10_000;
const maxBytes = 16 * 1024 * 1024;
const maxRefusals = 1_000;
export const atOnce = 16;
export const maxWaiting = 1_000;

interface Remembered {
  readonly found: TokenIdentity;
  readonly untilMs: number;
}

interface Refusal {
  readonly error: KmsError;
  readonly untilMs: number;
  /** Issuers in force when it was refused: others may take it. */
  readonly under: TokenIssuers;
}

export function createTokenCache({ issuers, isNamed, now, failures }: TokenCacheParts): TokenCache {
  const known = new LRUCache<string, Remembered>({ max: maxTokens, maxSize: maxBytes });
  // Anybody may have tokens of an issuer with many users: they take no place of a caller's.
  const unnamed = new LRUCache<string, Remembered>({ max: maxRefusals });
  const refused = new LRUCache<string, Refusal>({ max: maxRefusals });
  const flights = new Map<string, Promise<TokenIdentity>>();
  const turns = createFairTurns({ atOnce, maxWaiting, full: tooMany });

  async function verify(token: string, address: string): Promise<TokenIdentity> {
    const read = readJwt(token, issuers());
    const key = await keyOf(read, address);
    const verified = await turns.run(networkOf(address), async () => {
      failures?.check(address); // others of its network may have failed while it waited
      return verifyJwt(read, key, now);
    });
    return standing(verified);
  }

  async function keyOf({ issuer: { keys }, kid, algorithm }: UnverifiedToken, address: string): Promise<SigningKey> {
    try {
      return await keys.key(kid, algorithm);
    } catch (error) {
      if (hasCode(error, "ISSUER_UNAVAILABLE") && keys.lacks(kid)) failures?.failed(address);
      throw error;
    }
  }

  function standing({ identity, untilMs, thumbprint, issuer, key }: VerifiedToken): TokenIdentity {
    const { issuer: iss, trustDomain } = issuer.entry;
    const stands = () => {
      const current = iss === undefined ? issuers().byTrustDomain(trustDomain!) : issuers().byIssuer(iss);
      return now() < untilMs && current?.fingerprint === issuer.fingerprint && current.keys.has(key);
    };
    return { identity, untilMs, thumbprint, stands };
  }

  async function firstSight(id: string, token: string, address: string): Promise<TokenIdentity> {
    const under = issuers();
    try {
      const found = await verify(token, address);
      if (isNamed(found.identity)) known.set(id, { found, untilMs: now() + rememberMs }, { size: sizeOf(token) });
      else unnamed.set(id, { found, untilMs: now() + refusedMs });
      return found;
    } catch (error) {
      if (hasCode(error, "UNAUTHENTICATED", "CREDENTIAL_EXPIRED")) {
        failures?.failed(address);
        refused.set(id, { error, untilMs: now() + refusedMs, under });
      }
      throw error;
    } finally {
      flights.delete(id);
    }
  }

  return {
    identify(token, address) {
      const id = hexDigest(token);
      for (const some of [known, unnamed]) {
        const remembered = some.get(id);
        if (remembered === undefined) continue;
        if (now() < remembered.untilMs && remembered.found.stands()) return remembered.found;
        some.delete(id);
      }
      const refusal = refused.get(id);
      if (refusal?.under === issuers() && now() < refusal.untilMs) throw refusal.error;
      const flying = flights.get(id);
      if (flying !== undefined) return flying;
      failures?.check(address);
      const flight = firstSight(id, token, address);
      flights.set(id, flight);
      return flight;
    },
    size: () => known.size,
  };
}

/** Estimate of an identity's memory: 1.3 KiB with few claims and 6.4 KiB with 150 roles were measured. */
function sizeOf(token: string): number {
  return 1_024 + 2 * token.length;
}

function tooMany(): KmsError {
  return new KmsError("RATE_LIMITED", "too many calls: wait");
}
