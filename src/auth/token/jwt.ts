/**
 * JWTs, and the identities that they prove: RFC 7519, RFC 9068, and JWT-SVIDs of SPIFFE. Until its signature is
 * verified, a token chooses the issuer whose keys are asked, and nothing else. No address in it is ever looked at.
 *
 * jose verifies signatures. It parses the header by JSON.parse, so no name there may have an escape (encoding/json.ts),
 * and it never sees the claims. It accepts three things that are refused here: a member twice, another spelling in
 * base64url, and header parameters that choose a key.
 */
import { compactVerify, errors } from "jose";
import { canonicalBase64Url } from "../../encoding/base64.ts";
import { hasEscapedName, readJsonBytes } from "../../encoding/json.ts";
import type { KmsError } from "../../errors.ts";
import { tokenExpired, tokenOf, tokenRefused } from "./bearer.ts";
import type { Claims } from "../policy/claims.ts";
import { spiffeId } from "../certificate/spiffe.ts";
import type { Identity } from "../policy/identity.ts";
import type { TokenIssuer, TokenIssuers } from "./issuers.ts";
import type { SigningKey } from "./jwks.ts";
import type { IssuerEntry } from "../policy/trust.ts";

/** A token whose signature nobody has verified. */
export interface UnverifiedToken {
  readonly token: string;
  readonly issuer: TokenIssuer;
  readonly kid: string | undefined;
  readonly algorithm: string;
  readonly claims: Claims;
}

export interface VerifiedToken {
  readonly identity: Identity;
  /** Time at which it expires here: `exp` and the clock tolerance of its issuer's entry. */
  readonly untilMs: number;
  readonly issuer: TokenIssuer;
  /** The fingerprint of the key that verified it. */
  readonly key: string;
  /** SHA-256 in base64url of the one client certificate with which the token may be used (RFC 8705 §3.1). */
  readonly thumbprint: string | undefined;
}

const refusedHeaders = ["crit", "jku", "x5u", "jwk", "x5c", "b64", "zip", "enc", "cty"];
const types = /^(application\/)?(jwt|jose|at\+jwt)$/i;
/** Claims of a login's ID token or of a security event, which are no credentials for a service. */
const refusedClaims = ["nonce", "at_hash", "c_hash", "s_hash", "events"];
/** Claim `typ` of Keycloak. */
const refusedKinds = /^(id|refresh|offline|logout)$/i;
const subjectPattern = /^[^\p{Cc}\p{Cs}]{1,512}$/u;

/**
 * Reads the form and header of a JWS in compact serialisation, in its one canonical spelling. Throws UNAUTHENTICATED.
 */
export function readJws(token: string): { algorithm: string; kid: string | undefined; payload: Uint8Array } {
  const parts = token.split(".", 4);
  const [head, payload, signature] = parts.map(canonicalBase64Url);
  const header = head && objectIn(head);
  if (parts.length !== 3 || !header || !payload || !signature?.length) throw tokenRefused("it is no signed JWT");
  if (hasEscapedName(Buffer.from(head).toString())) throw tokenRefused("a name in its header is spelt with an escape");
  const refused = refusedHeaders.find((name) => Object.hasOwn(header, name));
  if (refused !== undefined) throw tokenRefused(`its header has ${refused}`);
  const { typ, alg, kid } = header;
  if (typ !== undefined && !(typeof typ === "string" && types.test(typ))) throw tokenRefused("it is of another type");
  if (kid !== undefined && typeof kid !== "string") throw tokenRefused("kid is no text");
  if (typeof alg !== "string") throw tokenRefused("alg is no text");
  return { algorithm: alg, kid, payload };
}

/** Reads an object that every reader reads the same; undefined for bytes that are none, or in which a member is twice. */
function objectIn(bytes: Uint8Array): Claims | undefined {
  try {
    const value = readJsonBytes(bytes);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Claims) : undefined;
  } catch {
    return undefined;
  }
}

/** Reads a token and finds the issuer that it names. Throws UNAUTHENTICATED. */
export function readJwt(token: string, issuers: TokenIssuers): UnverifiedToken {
  const { algorithm, kid, payload } = readJws(token);
  const claims = objectIn(payload);
  if (claims === undefined) throw tokenRefused("its claims are no JSON object, or have a member twice");
  checkKind(claims);
  const issuer = issuerOf(claims, issuers);
  const { name, algorithms } = issuer.entry;
  if (!algorithms.includes(algorithm)) throw tokenRefused(`${tokenOf(name, kid)}: alg is not listed`);
  return { token, issuer, kid, algorithm, claims };
}

function checkKind(claims: Claims): void {
  const refused = refusedClaims.find((name) => Object.hasOwn(claims, name));
  if (refused !== undefined) throw tokenRefused(`it is a login's token or an event: it has the claim ${refused}`);
  if (typeof claims.typ === "string" && refusedKinds.test(claims.typ)) throw tokenRefused("it is no access token");
}

function issuerOf({ sub, iss }: Claims, issuers: TokenIssuers): TokenIssuer {
  const isSpiffe = typeof sub === "string" && sub.startsWith("spiffe://");
  const trustDomain = isSpiffe ? spiffeId(sub)?.trustDomain : undefined;
  const byIssuer = !isSpiffe && typeof iss === "string" ? issuers.byIssuer(iss) : undefined;
  const issuer = trustDomain === undefined ? byIssuer : issuers.byTrustDomain(trustDomain);
  if (issuer === undefined) throw tokenRefused("its issuer is not in the policy");
  return issuer;
}

/**
 * Verifies a token. Throws UNAUTHENTICATED; CREDENTIAL_EXPIRED if signature, issuer and audience are good and `exp` is
 * past.
 */
export async function verifyJwt(read: UnverifiedToken, key: SigningKey, now: () => number): Promise<VerifiedToken> {
  const { claims, issuer } = read;
  const { entry } = issuer;
  const name = tokenOf(entry.name, read.kid);
  const refuse = (reason: string) => tokenRefused(`${name}: ${reason}`);
  await verifySignature(read, key, name);
  const { sub, exp } = checkedClaims(claims, { entry, nowMs: now(), refuse, expired: () => tokenExpired(name) });
  return {
    identity: identityOf(entry, sub, claims),
    // `exp` is compared in whole seconds.
    untilMs: Math.ceil(exp) * 1_000 + entry.clockToleranceMs,
    issuer,
    key: key.fingerprint,
    thumbprint: thumbprintOf(claims, refuse),
  };
}

type Refuse = (reason: string) => KmsError;

async function verifySignature({ token, issuer }: UnverifiedToken, { key }: SigningKey, name: string): Promise<void> {
  try {
    await compactVerify(token, key, { algorithms: [...issuer.entry.algorithms] });
  } catch (error) {
    if (error instanceof errors.JOSEError) throw tokenRefused(`${name}: ${error.code}`);
    throw tokenRefused(`${name}: cannot be verified`, error);
  }
}

interface ClaimRules {
  entry: IssuerEntry;
  nowMs: number;
  refuse: Refuse;
  expired(): KmsError;
}

/** Checks the registered claims (RFC 7519 §4.1) of a token whose signature is good. */
function checkedClaims(claims: Claims, { entry, nowMs, refuse, expired }: ClaimRules): { sub: string; exp: number } {
  const { sub, iss, aud, exp, nbf, iat } = claims;
  const seconds = Math.floor(nowMs / 1_000);
  const tolerance = entry.clockToleranceMs / 1_000;
  if (entry.issuer !== undefined && iss !== entry.issuer) throw refuse("iss is another issuer");
  if (!entry.audiences.some((each) => each === aud || (Array.isArray(aud) && aud.includes(each)))) {
    throw refuse("aud does not name this service");
  }
  if (typeof sub !== "string" || !subjectPattern.test(sub)) throw refuse("sub is no name");
  if (typeof exp !== "number") throw refuse("exp is no time");
  if (nbf !== undefined && typeof nbf !== "number") throw refuse("nbf is no time");
  if (typeof iat !== "number" && (iat !== undefined || entry.trustDomain === undefined)) throw refuse("iat is no time");
  if (nbf !== undefined && nbf > seconds + tolerance) throw refuse("it is not valid yet (nbf)");
  if (exp <= seconds - tolerance) throw exp >= 0 ? expired() : refuse("exp is no time");
  if (iat !== undefined && iat * 1_000 > nowMs + entry.clockToleranceMs) throw refuse("it was issued in the future");
  if ((exp - (iat ?? nowMs / 1_000)) * 1_000 > entry.maxLifetimeMs) throw refuse("it lives longer than max-lifetime");
  return { sub, exp };
}

function identityOf({ name, trustDomain }: IssuerEntry, subject: string, claims: Claims): Identity {
  if (trustDomain !== undefined) return { kind: "spiffe", id: subject };
  return { kind: "jwt", issuer: name, subject, claims };
}

/**
 * Reads the certificate that a token is bound to. Any other confirmation would need a proof that is not asked for here.
 */
function thumbprintOf({ cnf }: Claims, refuse: (reason: string) => KmsError): string | undefined {
  if (cnf === undefined) return undefined;
  const { "x5t#S256": thumbprint, ...others } = Object(cnf) as Record<string, unknown>;
  const isOne = typeof thumbprint === "string" && canonicalBase64Url(thumbprint)?.length === 32;
  if (!isOne || Object.keys(others).length > 0) throw refuse("cnf is not x5t#S256 alone");
  return thumbprint;
}
