/**
 * Credentials to caller. A token counts alone where there is one, and a bad one is not made good by a certificate. A certificate of which a rule
 * demands a token counts for nothing without one. What a caller hears of a refusal says nothing of the reason, which is in the log.
 */
import type { Caller } from "../call/context.ts";
import { type MaybePromise, andThen } from "../call/maybe-promise.ts";
import { KmsError } from "../errors.ts";
import { bearerOf } from "./token/bearer.ts";
import { type CallerParts, createCaller, type InForce, type PolicyCaller } from "./caller.ts";
import type { Authorities } from "./certificate/lineage.ts";
import type { Identity } from "./policy/identity.ts";
import { judgePeer, type Peer, type PresentedCertificate } from "./certificate/peer.ts";
import type { TokenCache, TokenIdentity } from "./token/cache.ts";
import type { StaticIdentity, StaticTokens } from "./token/static-token.ts";

/** A policy in force, with what it names. */
export interface Loaded extends InForce {
  /** Empty where the policy has no certificates: what a connection presents is not looked at then. */
  readonly authorities: readonly Authorities[];
  readonly staticTokens: StaticTokens;
  /** The rule that demands a token beside a certificate of this identity; undefined where none does. */
  tokenDemandOn(identity: Identity): { readonly name: string } | undefined;
}

/** A connection, with what is known of its other end. */
export interface Connection {
  readonly address: string;
  readonly presented: PresentedCertificate | undefined;
  /** When streams by its certificate end, so that it is judged anew by TLS, which alone looks at revocation lists. */
  readonly streamsUntilMs: number;
  judged?: Judged;
  caller?: { readonly peer: Peer; readonly caller: PolicyCaller };
}

interface Judged {
  readonly under: Loaded;
  readonly peer: Peer | undefined;
  /** Name of the rule that demands a token beside the certificate. */
  readonly demandedBy: string | undefined;
}

export interface Authenticator {
  /** `streamsUntilMs` as {@link Connection.streamsUntilMs}. */
  connect(presented: PresentedCertificate | undefined, address: string, streamsUntilMs?: number): Connection;
  /** What a connection's certificate proves under the policy in force; undefined where none is looked at. */
  peerOf(connection: Connection): Peer | undefined;
  /** Whether a connection's certificate counts only with a token, by the policy in force. */
  demandsToken(connection: Connection): boolean;
  /**
   * Who calls, by all `authorization` headers of a request and its connection. A promise only for a token that was not seen lately. Throws
   * UNAUTHENTICATED, CREDENTIAL_EXPIRED, RATE_LIMITED or ISSUER_UNAVAILABLE.
   */
  authenticate(connection: Connection, authorization: readonly string[]): MaybePromise<PolicyCaller>;
}

export interface AuthenticatorParts extends Pick<CallerParts, "mixed" | "limiter"> {
  loaded(): Loaded;
  tokens: TokenCache;
  /** Time of the clock, in milliseconds. */
  now(): number;
}

export function createAuthenticator({ loaded, tokens, now, ...parts }: AuthenticatorParts): Authenticator {
  const ofTokens = new WeakMap<TokenIdentity | StaticIdentity, PolicyCaller>();

  const judge = (connection: Connection) => judgedUnder(loaded(), connection, now);
  const peerOf = (connection: Connection) => judge(connection).peer;

  function byCertificate(connection: Connection): PolicyCaller {
    const { peer, demandedBy } = judge(connection);
    if (peer === undefined) throw noCredential(connection);
    if ("refused" in peer) throw refusedCertificate(peer);
    if (now() >= peer.untilMs) throw expiredCertificate();
    if (demandedBy !== undefined) throw tokenDemanded(demandedBy);
    if (connection.caller?.peer !== peer) {
      const check = () => {
        const current = judge(connection);
        const untilMs = Math.min(peer.untilMs, connection.streamsUntilMs);
        if (current.peer !== peer || now() >= untilMs) throw expiredCertificate();
        if (current.demandedBy !== undefined) throw tokenDemanded(current.demandedBy);
      };
      const credential = { untilMs: peer.untilMs, check };
      connection.caller = {
        peer,
        caller: createCaller({ identity: peer.identity, inForce: loaded, credential, ...parts }),
      };
    }
    return connection.caller.caller;
  }

  function byToken(connection: Connection, token: TokenIdentity): PolicyCaller {
    const { thumbprint } = token;
    const peer = thumbprint === undefined ? undefined : peerOf(connection);
    if (thumbprint !== undefined && (peer === undefined || "refused" in peer || peer.sha256 !== thumbprint)) {
      throw new KmsError("UNAUTHENTICATED", "the token is not accepted", {
        inLog: "the token is not accepted: it is bound to another certificate",
      });
    }
    return remembered(token, () => {
      if (!token.stands()) throw expiredToken();
    });
  }

  function byStaticToken(text: string): PolicyCaller {
    const found = loaded().staticTokens.find(text);
    return remembered(found, () => {
      if (!loaded().staticTokens.has(found)) throw expiredToken();
    });
  }

  function remembered(token: TokenIdentity | StaticIdentity, check: () => void): PolicyCaller {
    let caller = ofTokens.get(token);
    if (caller === undefined) {
      const credential = { untilMs: token.untilMs, check, ...("sha256" in token && { tokenSha256: token.sha256 }) };
      caller = createCaller({ identity: token.identity, inForce: loaded, credential, ...parts });
      ofTokens.set(token, caller);
    }
    return caller;
  }

  return {
    connect: (presented, address, streamsUntilMs = Number.POSITIVE_INFINITY) => ({
      presented,
      address,
      streamsUntilMs,
    }),
    peerOf,
    demandsToken: (connection) => judge(connection).demandedBy !== undefined,
    authenticate(connection, authorization) {
      const bearer = bearerOf(authorization);
      if (bearer === undefined) return byCertificate(connection);
      if (bearer.kind === "static") return byStaticToken(bearer.token);
      return andThen(tokens.identify(bearer.token, connection.address), (token) => byToken(connection, token));
    },
  };
}

function judgedUnder(under: Loaded, connection: Connection, now: () => number): Judged {
  if (connection.judged?.under === under) return connection.judged;
  const { presented } = connection;
  const isLookedAt = presented !== undefined && under.authorities.length > 0;
  const peer = isLookedAt ? judgePeer(presented, under.authorities, now()) : undefined;
  const demandedBy = peer && "identity" in peer ? under.tokenDemandOn(peer.identity)?.name : undefined;
  const judged = { under, peer: samePeer(connection.judged?.peer, peer), demandedBy };
  connection.judged = judged;
  return judged;
}

/** A peer that is what it was stays the same object, so that what hangs on it does. */
function samePeer(before: Peer | undefined, after: Peer | undefined): Peer | undefined {
  const isSame = before !== undefined && after !== undefined && JSON.stringify(before) === JSON.stringify(after);
  return isSame ? before : after;
}

/** The caller hears one text; the log tells a certificate that the policy does not look at from none. */
function noCredential({ presented }: Connection): KmsError {
  const inLog =
    presented === undefined
      ? "no credential came, or by HTTP/2 a malformed authorization, which it leaves out"
      : "a client certificate came, and the policy in force names no certificates";
  return new KmsError("UNAUTHENTICATED", "no credential", { inLog });
}

function refusedCertificate({ refused, expired }: Extract<Peer, { refused: string }>): KmsError {
  if (expired) return expiredCertificate();
  return new KmsError("UNAUTHENTICATED", "the client certificate is not accepted", {
    inLog: `the client certificate is not accepted: ${refused}`,
  });
}

function expiredCertificate(): KmsError {
  return new KmsError("CREDENTIAL_EXPIRED", "the client certificate has expired: connect again");
}

/** A token may have been sent, and lost on its way: HTTP/2 leaves out a field that is malformed. */
function tokenDemanded(rule: string): KmsError {
  const text = "this client certificate counts only with a token";
  return new KmsError("UNAUTHENTICATED", text, { inLog: `${text}, by rule ${rule}: none came, or a malformed one` });
}

function expiredToken(): KmsError {
  return new KmsError("CREDENTIAL_EXPIRED", "the token has expired");
}

/** PERMISSION_DENIED for one whom no rule names: anybody may have a token of an issuer that has many users. */
export function checkKnown(caller: PolicyCaller): Caller {
  if (caller.grants().length > 0) return caller;
  throw new KmsError("PERMISSION_DENIED", "no rule names this caller", {
    inLog: `no rule names this caller: ${caller.name}`,
  });
}
