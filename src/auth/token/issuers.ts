/**
 * The issuers of tokens in force: each with its entry of the policy and its keys, which outlive a reload of the policy.
 */
import { hexDigest } from "../../crypto/sha256.ts";
import type { KeySet } from "./issuer-keys.ts";
import type { IssuerEntry } from "../policy/trust.ts";

export interface TokenIssuer {
  readonly entry: IssuerEntry;
  /** Hash of all that the entry says. A token that was verified under another one is verified again. */
  readonly fingerprint: string;
  readonly keys: KeySet;
}

export interface TokenIssuers {
  readonly all: readonly TokenIssuer[];
  /** Finds an issuer by the exact text of `iss`. */
  byIssuer(iss: string): TokenIssuer | undefined;
  byTrustDomain(trustDomain: string): TokenIssuer | undefined;
}

/**
 * Makes the issuers of a policy. A former issuer's keys are carried over if the entry has the same name and source of
 * keys, so that a reload needs no network; the others are closed. If a key set cannot be opened, the former issuers
 * stay.
 */
export function issuersOf(
  { issuers }: { issuers: readonly IssuerEntry[] },
  former: TokenIssuers | undefined,
  openKeySet: (entry: IssuerEntry) => KeySet,
): TokenIssuers {
  const spare = new Map((former?.all ?? []).map(({ entry, keys }) => [sourceOf(entry), keys]));
  const opened: KeySet[] = [];
  const keysOf = (entry: IssuerEntry): KeySet => {
    const kept = spare.get(sourceOf(entry));
    if (kept === undefined) opened.push(openKeySet(entry));
    return kept ?? opened.at(-1)!;
  };
  try {
    const all = issuers.map((entry) => ({ entry, fingerprint: fingerprintOf(entry), keys: keysOf(entry) }));
    for (const { entry } of all) spare.delete(sourceOf(entry));
    for (const keys of spare.values()) keys.close();
    return indexed(all);
  } catch (error) {
    for (const keys of opened) keys.close();
    throw error;
  }
}

function indexed(all: readonly TokenIssuer[]): TokenIssuers {
  const [ofIssuers, ofTrustDomains] = [
    all.filter(({ entry }) => entry.issuer),
    all.filter(({ entry }) => entry.trustDomain),
  ];
  const byIssuer = new Map(ofIssuers.map((each) => [each.entry.issuer, each]));
  const byTrustDomain = new Map(ofTrustDomains.map((each) => [each.entry.trustDomain, each]));
  return {
    all,
    byIssuer: (iss) => byIssuer.get(iss),
    byTrustDomain: (trustDomain) => byTrustDomain.get(trustDomain),
  };
}

/** Hash of an entry without its line: moved elsewhere, it says the same. */
function fingerprintOf({ line: _, ...said }: IssuerEntry): string {
  return hexDigest(JSON.stringify(Object.entries(said).sort(([a], [b]) => (a < b ? -1 : 1))));
}

/** The part of an entry on which its key set depends. */
function sourceOf({ name, issuer, trustDomain, keys, ca, tokenFile }: IssuerEntry): string {
  return JSON.stringify([name, issuer ?? null, trustDomain ?? null, keys, ca ?? null, tokenFile ?? null]);
}
