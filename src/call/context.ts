/** What a handler knows of the call that it answers, whichever transport it came by. */
import type { Role } from "./roles.ts";

/** What proves who calls. It may end before what it began. */
export interface Credential {
  /** Until when it is good at the latest, by the clock, in milliseconds; Infinity where it says nothing of that. */
  readonly untilMs: number;
  /** Throws CREDENTIAL_EXPIRED where it is good no more, UNAUTHENTICATED where it counts no more by itself. */
  check(): void;
  /** SHA-256 of a static token, in lower-case hex: it tells the token from others whatever its name is. */
  readonly tokenSha256?: string;
}

/** Who calls, by credentials. A tenant is never taken from a request without asking the caller. */
export interface Caller {
  /** Who calls, for the audit trail. */
  readonly name: string;
  /** Undefined where none is asked for. */
  readonly credential: Credential | undefined;
  /**
   * Authorizes the caller for the tenant that a request names, takes a unit of that tenant's limit, and returns the tenant's id. Throws
   * INVALID_ARGUMENT if the id is malformed, PERMISSION_DENIED if the caller lacks the role for it (whether or not the tenant exists), and
   * RATE_LIMITED if calls for the tenant come too often. A message of a stream takes no unit here.
   */
  authorize(tenantId: string, role: Role, of?: "message"): string;
  /** Throws PERMISSION_DENIED unless the caller has the role for all tenants. */
  every(role: Role): void;
  /** Tells whether the caller has the role for a tenant, or for all of them if none is given. */
  has(role: Role, tenantId?: string): boolean;
  /** The first rule that gives the caller the role; undefined where none does, and where there are no rules. */
  rule(role: Role, tenantId?: string): string | undefined;
  /** Limits of its calls; undefined if callers have none. */
  readonly limits?: CallLimits;
}

/** Limits of a caller's calls, and of those for the tenants that it names. What is spent beyond a limit is owed. */
export interface CallLimits {
  /** Takes a unit for a call, before its request is read. Throws RATE_LIMITED if there is none; a stream is read later instead. */
  call(isStream: boolean): void;
  /** Takes units of the caller and of a tenant that it may name, for items. */
  spend(tenantId: string, units: number): void;
  /** Milliseconds until another message of a stream may begin; 0 if it may. */
  waitMs(tenantId: string | undefined): number;
}

/** Authorizes as {@link Caller.authorize}. A request that names no tenant needs the role for all of them, and gives undefined. */
export function tenantOrAll(tenantId: string, caller: Caller, role: Role): string | undefined {
  if (tenantId !== "") return caller.authorize(tenantId, role);
  caller.every(role);
  return undefined;
}

export interface CallContext {
  readonly caller: Caller;
  /** What the call shares with others of its connection, by which large calls take turns; undefined where the call is alone. */
  readonly connection?: object | undefined;
  /** Aborts when the caller leaves or its deadline passes. Made on first use: most calls never need it. */
  readonly signal: AbortSignal;
}
