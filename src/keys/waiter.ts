/** Those who wait for a key, and those whom the audit trail names. */
import type { Role } from "../call/roles.ts";

/** Who waits. Its signal is asked for only once there is something to wait for: making one costs as much as a cached key. */
export interface Waiter {
  readonly signal: AbortSignal;
  readonly caller?: KeyUser;
}

export interface KeyUser {
  /** Whom the audit trail names, should the first call make a key. */
  readonly name: string;
  /** Asked only for a COMPROMISED key. */
  has(role: "break-glass", tenantId: string): boolean;
  /** The rule that the audit trail names beside the user. */
  rule?(role: Role, tenantId: string): string | undefined;
}
