/**
 * Whom `policy explain` is asked about: an identity as credentials of this policy's would prove it, written on
 * the command line.
 */
import { spiffeId } from "../../auth/certificate/spiffe.ts";
import { type Claims, namesIn } from "../../auth/policy/claims.ts";
import { createDemands } from "../../auth/policy/grants.ts";
import type { Identity } from "../../auth/policy/identity.ts";
import type { Policy } from "../../auth/policy/policy.ts";
import { quote } from "../../auth/policy/quote.ts";
import { haveTrustDomainOf, type IssuerEntry } from "../../auth/policy/trust.ts";
import { JsonError, readJson } from "../../encoding/json.ts";
import { suggestion } from "../../encoding/nearest.ts";
import { readToken } from "../access/token.ts";
import { Failure, type OptionValues, textOf, textsOf, UsageError } from "../command.ts";
import { membersAt, readFile, wrongJson } from "../files.ts";
import { provenBy, type TokenParts } from "./token.ts";

export interface Asked {
  identity: Identity;
  /** Whether the caller is asked about as one with a certificate and no token. */
  byCertificate: boolean;
  /** Why the service would refuse such a credential. */
  notes: readonly string[];
}

const callers = "spiffe://…, dns:ENTRY:NAME[,NAME…], jwt:ISSUER:SUBJECT or token:NAME";
const forms = `--as ${callers}, or --token-file FILE, or --issuer NAME --claims FILE`;

/** Throws UsageError for what nobody could prove under this policy, and a Failure for claims or a token that is none. */
export async function identityFrom(
  options: OptionValues,
  policy: Policy,
  parts: Omit<TokenParts, "policy" | "mayFetch">,
): Promise<Asked> {
  const [as, file, issuer, claims] = ["as", "token-file", "issuer", "claims"].map((name) => textOf(options, name));
  const ways = [as, file, issuer ?? claims].filter((way) => way !== undefined);
  if (ways.length > 1) throw new UsageError(`one of ${forms}, not both`);
  const mayFetch = options.fetch === true;
  if (mayFetch && file === undefined) throw new UsageError("--fetch gets keys for --token-file");
  const claimed = textsOf(options, "claim").map(claimIn);
  if (claimed.length > 0 && as === undefined) throw new UsageError(needsIssuer);
  if (as !== undefined) return namedCaller(as, claimed, { policy, now: parts.now() });
  if (file !== undefined) {
    const proven = await provenBy(readToken({ origin: "--token-file", file }).text, { ...parts, policy, mayFetch });
    return { ...proven, byCertificate: false };
  }
  if (issuer === undefined || claims === undefined) throw new UsageError(`policy explain needs ${forms}`);
  return tokenIdentity(entryNamed(policy.issuers, issuer, "issuers"), readClaims(claims), policy);
}

/** Returns the name and the text of `--claim NAME=TEXT`. */
function claimIn(option: string): GivenClaim {
  const [, name, text] = /^([^=]+)=(.+)$/.exec(option) ?? [];
  if (name === undefined || text === undefined) throw new UsageError("--claim is NAME=TEXT, or /POINTER=TEXT");
  return [name, text];
}

/** Name or JSON Pointer, and a text or a list of texts. */
export type GivenClaim = readonly [name: string, value: string | readonly string[]];

const needsIssuer = "claims are given to a caller jwt:ISSUER:SUBJECT, and to no other";

/** Returns the caller that `--as` names. Throws as identityFrom does. */
export function namedCaller(
  as: string,
  claimed: readonly GivenClaim[],
  { policy, now }: { policy: Policy; now: number },
): Asked {
  const [kind, entry = "", ...others] = as.split(":");
  const rest = others.join(":");
  if (claimed.length > 0 && kind !== "jwt") throw new UsageError(needsIssuer);
  switch (kind) {
    case "spiffe":
      return spiffeCaller(as, policy);
    case "dns":
      return { identity: dnsIdentity(entry, rest, policy), byCertificate: true, notes: [] };
    case "jwt":
      if (rest === "") throw new UsageError("a caller of an issuer is jwt:ISSUER:SUBJECT");
      return tokenIdentity(entryNamed(policy.issuers, entry, "issuers"), claimsOf(rest, claimed), policy);
    case "token": {
      const { name, expires } = entryNamed(policy.tokens, [entry, ...others].join(":"), "tokens");
      const hasExpired = expires !== undefined && expires.getTime() <= now;
      return {
        identity: { kind: "token", token: name },
        byCertificate: false,
        notes: hasExpired ? [`token ${name} expired at ${expires.toISOString()}: the service refuses it`] : [],
      };
    }
    default:
      throw new UsageError(`a caller is ${callers}`);
  }
}

type Members = Record<string, unknown>;

/** Builds claims that rules find by the names given. A name that is there again makes a list. */
function claimsOf(sub: string, given: readonly GivenClaim[]): Claims {
  // Without a prototype, __proto__ is a name like others.
  const claims: Members = Object.assign(Object.create(null), { sub });
  for (const [name, value] of given) {
    if (name === "sub") throw new UsageError("the claim sub is the SUBJECT of jwt:ISSUER:SUBJECT");
    const path = namesIn(name);
    const last = path.pop()!;
    let parent = claims;
    for (const each of path) {
      parent[each] ??= Object.create(null);
      const member = parent[each];
      if (!isMembers(member)) throw new UsageError(`the claim ${name} is within another that has a value`);
      parent = member;
    }
    const former = parent[last];
    if (isMembers(former)) throw new UsageError(`the claim ${name} has members, and so no value`);
    parent[last] = former === undefined ? value : [former, value].flat();
  }
  return claims;
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && !Array.isArray(value);
}

function entryNamed<T extends { name: string }>(entries: readonly T[], name: string, list: string): T {
  const found = entries.find((entry) => entry.name === name);
  if (found !== undefined) return found;
  const names = entries.map((entry) => entry.name);
  throw new UsageError(`the policy's ${list} have no entry ${quote(name)}${suggestion(name, names)}`);
}

function spiffeIdentity(id: string, { certificates, issuers }: Policy): Identity {
  const trustDomain = spiffeId(id)?.trustDomain;
  if (trustDomain === undefined)
    throw new UsageError(`${id} is no SPIFFE id such as spiffe://example.org/ns/fluo/sa/app`);
  if (![...certificates, ...issuers].some((entry) => entry.trustDomain === trustDomain)) {
    throw new UsageError(`the policy has no trust domain ${trustDomain}, so nobody can prove that name`);
  }
  return { kind: "spiffe", id };
}

/** A SPIFFE id on the command line is that of a certificate, if the policy has an authority for it. */
function spiffeCaller(id: string, policy: Policy): Asked {
  const identity = spiffeIdentity(id, policy);
  const byCertificate = haveTrustDomainOf(id, policy.certificates);
  const hasDemand = byCertificate && createDemands(policy.rules)(identity) !== undefined;
  return { identity, byCertificate, notes: hasDemand && haveTrustDomainOf(id, policy.issuers) ? [bySvid] : [] };
}

const bySvid = "this is about a certificate; of a JWT-SVID with that id ask as jwt:ISSUER:spiffe://…";

function dnsIdentity(entry: string, listed: string, { certificates }: Policy): Identity {
  const { name, trustDomain, dns } = entryNamed(certificates, entry, "certificates");
  if (trustDomain !== undefined)
    throw new UsageError(`${name} is a trust domain: its callers are spiffe://${trustDomain}/…`);
  const [first = "", ...others] = listed.toLowerCase().split(",");
  const names = [first, ...others] as const;
  const stray = names.find((each) => !/^[a-z0-9.-]+$/.test(each) || !dns.some((suffix) => each.endsWith(suffix)));
  if (stray === undefined) return { kind: "dns", certificates: name, names };
  throw new UsageError(`"${stray}" is no DNS name under ${dns.join(" or ")}, as ${name} needs for every name`);
}

function readClaims(file: string): Claims {
  const text = readFile(file).toString("utf8");
  try {
    return membersAt(readJson(text), file);
  } catch (error) {
    if (error instanceof JsonError) throw new Failure(`${file}: ${wrongJson(error)}`);
    throw error;
  }
}

const maxSubjectLength = 512;

/** A sub that is a SPIFFE id belongs to the entry of its trust domain, whatever the issuer. */
function tokenIdentity(issuer: IssuerEntry, claims: Claims, policy: Policy): Asked {
  const { sub } = claims;
  if (typeof sub !== "string" || sub === "" || sub.length > maxSubjectLength || /\p{Cc}/u.test(sub)) {
    throw new Failure(`the claims need sub, a text of 1 to ${maxSubjectLength} characters`);
  }
  const notes = notesOf(issuer, claims);
  if (issuer.trustDomain === undefined) {
    if (!sub.startsWith("spiffe://"))
      return { identity: { kind: "jwt", issuer: issuer.name, subject: sub, claims }, byCertificate: false, notes };
    throw new UsageError(`sub is a SPIFFE id: use the entry of issuers that has its trust domain, not ${issuer.name}`);
  }
  const identity = spiffeIdentity(sub, policy);
  if (sub.startsWith(`spiffe://${issuer.trustDomain}/`)) return { identity, byCertificate: false, notes };
  throw new UsageError(`sub is of another trust domain than ${issuer.trustDomain}, which is ${issuer.name}`);
}

/** Says what is wrong with what stands in the claims; what does not is taken for right. */
function notesOf({ name, issuer, audiences }: IssuerEntry, { iss, aud }: Claims): string[] {
  const notes: string[] = [];
  if (issuer !== undefined && iss !== undefined && iss !== issuer) notes.push(`iss is not that of issuer ${name}`);
  const given = Array.isArray(aud) ? aud : [aud];
  if (aud !== undefined && !given.some((each) => audiences.includes(each))) {
    notes.push(`aud has not ${audiences.join(" or ")}, which issuer ${name} wants`);
  }
  return notes.map((note) => `${note}: the service refuses such a token`);
}
