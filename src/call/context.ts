/** What a handler knows of the call that it answers, whichever transport it came by. */

/** Who calls, by credentials. A tenant is never taken from a request without asking the caller. */
export interface Caller {
  /** Who calls, for the audit trail. */
  readonly name: string;
  /**
   * The tenant that the request names, checked: INVALID_ARGUMENT where it is malformed,
   * PERMISSION_DENIED where the caller may not act for it, whether or not it exists.
   */
  tenant(tenantId: string): string;
  has(role: Role): boolean;
  /** Throws PERMISSION_DENIED unless the caller has the role. */
  require(role: Role): void;
}

/** `admin` moves keys through their states, `operator` rotates and looks, `break-glass` opens what a compromised key encrypted. */
export type Role = "admin" | "operator" | "break-glass";

export interface CallContext {
  readonly caller: Caller;
  /** Aborts when the caller leaves or its deadline passes. Made on first use: most calls never need it. */
  readonly signal: AbortSignal;
}
