/** Who calls, as both doors (grpc/door.ts, http/door.ts) find out before a byte of a request is read. */
import type { CredentialKind } from "../auth/caller-counts.ts";
import type { Caller } from "../call/context.ts";
import { checkTenantId } from "../call/ids.ts";
import type { MaybePromise } from "../call/maybe-promise.ts";
import { KmsError } from "../errors.ts";

/** The caller of a service that has authentication `none`: loopback only, see config/load.ts. It has every role, for every tenant. */
export const anyone: Caller = {
  name: "anonymous",
  credential: undefined,
  authorize: checkTenantId,
  every() {},
  has: () => true,
  rule: () => undefined,
};

/** Whoever asks for what is open: public keys and logs, if the operator says so, and nothing else. */
export const stranger: Caller = {
  ...anyone,
  authorize(tenantId, role) {
    if (role !== "verify") throw denied();
    return checkTenantId(tenantId);
  },
  every() {
    throw denied();
  },
  has: (role) => role === "verify",
};

function denied(): KmsError {
  return new KmsError("PERMISSION_DENIED", "no credential was asked for here, and none is known");
}

/** What is served to whoever reaches it. */
export type Open = "health" | "metrics" | "public-keys" | "reflection";

/** The end of a connection at which credentials are. */
export interface Peering {
  /** When it is closed, so that the caller comes back on another: before its certificate ends, or for its age. By the clock, in milliseconds. */
  closesMs(): number;
  hasCertificate(): boolean;
  /** Whether it has an accepted certificate whose identity some rule names, and that counts without a token. */
  isKnown(): boolean;
  /** Whether it has a certificate that is not accepted. A mesh may have one of its own, beside a token. */
  isRefused(): boolean;
  /** Whether it had one that is accepted no more. */
  hasLost(): boolean;
  /** What the log may say of it: its address, and its certificate's hash and serial number. */
  about(): Readonly<Record<string, string>>;
}

/** What a call shows of its caller, by the rule that a token counts alone where there is one. */
export function kindShown(connection: Peering, authorization: readonly string[]): CredentialKind {
  const header = authorization[0];
  if (header !== undefined) return header.startsWith("fkt_", "Bearer ".length) ? "token" : "jwt";
  return connection.hasCertificate() ? "certificate" : "none";
}

/** What a refused caller has shown, for the log. */
export function shownBy(connection: Peering, authorization: readonly string[]): Readonly<Record<string, string>> {
  return { kind: kindShown(connection, authorization), ...connection.about() };
}

/** What both doors ask. `C` is a connection, as it is known to whoever authenticates. */
export interface Door<C extends Peering = Peering> {
  /** Called once a connection, with its socket. */
  connect(socket: unknown): C;
  /**
   * The caller, whom some rule names. At once, but for a token that was not seen lately. Throws UNAUTHENTICATED, CREDENTIAL_EXPIRED,
   * PERMISSION_DENIED, RATE_LIMITED or ISSUER_UNAVAILABLE.
   */
  enter(connection: C, authorization: readonly string[]): MaybePromise<Caller>;
  /** Whom no rule names is told its name by this. */
  identify(connection: C, authorization: readonly string[]): MaybePromise<Caller>;
  /** Counts a call that was let in; with `refused`, one that was answered by that error instead. */
  count(connection: C, authorization: readonly string[], refused?: KmsError): void;
  isOpen(what: Open): boolean;
  /** SHA-256 of the policy in force, in lower-case hex. */
  policySha256(): string;
  /** Has `changed` called when what is believed has changed, so that connections may be other than they were. */
  subscribe(changed: () => void): void;
}
