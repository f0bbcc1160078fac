/** What a credential proves. */
import type { Claims } from "./claims.ts";

export type Identity =
  /** An X509-SVID or a JWT-SVID. */
  | { readonly kind: "spiffe"; readonly id: string }
  /** A client certificate: the entry of the policy whose authority issued it, and its DNS names in lower case. */
  | { readonly kind: "dns"; readonly certificates: string; readonly names: readonly [string, ...string[]] }
  | { readonly kind: "jwt"; readonly issuer: string; readonly subject: string; readonly claims: Claims }
  /** A static token, by its name in the policy. */
  | { readonly kind: "token"; readonly token: string };

/** The identity as text: the actor in the audit trail. Names of entries have no colon, so no two identities share a text. */
export function nameOf(identity: Identity): string {
  switch (identity.kind) {
    case "spiffe":
      return identity.id;
    case "dns":
      return `dns:${identity.certificates}:${identity.names[0]}`;
    case "jwt":
      return `jwt:${identity.issuer}:${identity.subject}`;
    case "token":
      return `token:${identity.token}`;
  }
}

/** What of an identity the names in rules are held against. */
export function namesOf(identity: Identity): readonly string[] {
  switch (identity.kind) {
    case "spiffe":
      return [identity.id];
    case "dns":
      return identity.names;
    case "jwt":
      return [identity.subject];
    case "token":
      return [identity.token];
  }
}

/** The entry of the policy that an identity is of; of SPIFFE ids the trust domain in the id itself tells. */
export function entryOf(identity: Identity): string {
  if (identity.kind === "dns") return identity.certificates;
  return identity.kind === "jwt" ? identity.issuer : "";
}
