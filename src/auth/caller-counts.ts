/**
 * What is counted of callers since the start: the answers of both doors by kind of credential, and the identities that
 * were let in. A call adds to a number; the sums are read when metrics are exported and when somebody asks for Status.
 */
import { hexDigest } from "../crypto/sha256.ts";
import type { KmsError, KmsErrorCode } from "../errors.ts";
import type { PolicyCaller } from "./caller.ts";
import type { Identity } from "./policy/identity.ts";

/** What a call shows: an `authorization` header with anything but a static token counts as a JWT. */
export type CredentialKind = keyof typeof outcomesOf;
export type AuthOutcome = "ok" | "refused" | "unavailable" | "limited";
export type IdentityKind = Identity["kind"];

export interface CallerCounts {
  /** Counts a call whose caller is known. */
  accepted(kind: CredentialKind): void;
  /** Counts a call that is answered by an error at the door. */
  refused(kind: CredentialKind, error: KmsError): void;
  /** Counts the identity of a caller that some rule names. */
  named(caller: PolicyCaller): void;
  /** Calls, with a zero for each kind and outcome that can occur together. */
  calls(): { kind: CredentialKind; outcome: AuthOutcome; count: number }[];
  /** Refusals that have occurred, by the code that the caller was told. */
  refusals(): { kind: CredentialKind; code: KmsErrorCode; count: number }[];
  identities(): { kind: IdentityKind; count: number }[];
}

/** Identities of a kind that are told apart: so many are as many as there may be, or fewer. */
export const maxIdentities = 10_000;

const outcomesOf = {
  certificate: ["ok", "refused", "limited"],
  jwt: ["ok", "refused", "unavailable", "limited"],
  token: ["ok", "refused", "limited"],
  none: ["refused"],
} as const satisfies Record<string, readonly AuthOutcome[]>;
const kinds = Object.keys(outcomesOf) as CredentialKind[];

/** What a code is not named for here, nobody could tell in time. */
const outcomeOf: Partial<Record<KmsErrorCode, AuthOutcome>> = {
  UNAUTHENTICATED: "refused",
  CREDENTIAL_EXPIRED: "refused",
  PERMISSION_DENIED: "refused",
  RATE_LIMITED: "limited",
};

/** 64 bits: among so many identities two share them with a chance of 1 in 10^11. */
const hashDigits = 16;

export function callerCounts(): CallerCounts {
  const ok = { certificate: 0, jwt: 0, token: 0, none: 0 };
  const refused = Object.fromEntries(kinds.map((kind) => [kind, new Map()])) as Record<
    CredentialKind,
    Map<KmsErrorCode, number>
  >;
  const names: Record<IdentityKind, Set<string>> = {
    spiffe: new Set(),
    dns: new Set(),
    jwt: new Set(),
    token: new Set(),
  };
  const known = new WeakSet<PolicyCaller>();

  function counted(kind: CredentialKind, outcome: AuthOutcome): number {
    if (outcome === "ok") return ok[kind];
    const those = [...refused[kind]].filter(([code]) => (outcomeOf[code] ?? "unavailable") === outcome);
    return those.reduce((sum, [, count]) => sum + count, 0);
  }

  return {
    accepted(kind) {
      ok[kind] += 1;
    },
    refused(kind, { code }) {
      refused[kind].set(code, (refused[kind].get(code) ?? 0) + 1);
    },
    named(caller) {
      if (known.has(caller)) return;
      known.add(caller);
      const those = names[caller.identity.kind];
      if (those.size < maxIdentities) those.add(hexDigest(caller.name).slice(0, hashDigits));
    },
    calls: () =>
      kinds.flatMap((kind) => outcomesOf[kind].map((outcome) => ({ kind, outcome, count: counted(kind, outcome) }))),
    refusals: () => kinds.flatMap((kind) => [...refused[kind]].map(([code, count]) => ({ kind, code, count }))),
    identities: () => (Object.keys(names) as IdentityKind[]).map((kind) => ({ kind, count: names[kind].size })),
  };
}
