/** A caller under a policy that may change: its grants are made anew when another policy is in force. */
import type { Caller, Credential } from "../call/context.ts";
import { checkTenantId } from "../call/ids.ts";
import type { Role } from "../call/roles.ts";
import { KmsError } from "../errors.ts";
import type { CallerLimit, CallLimiter } from "../limits/calls.ts";
import { type Grant, type Grants, grantFor, holdsOne, largestLimit } from "./policy/grants.ts";
import { type Identity, nameOf } from "./policy/identity.ts";
import { rolesApartFrom } from "./policy/separation.ts";

/** A policy in force. Another has another object, which is how callers see that it changed. */
export interface InForce {
  readonly separation: boolean;
  grantsOf(identity: Identity): Grants;
}

export interface CallerParts {
  identity: Identity;
  credential?: Credential;
  inForce(): InForce;
  /** Told of a caller whose rules add up to roles that must be apart. */
  mixed?(name: string, role: Role): void;
  /** Undefined if callers have no limits. */
  limiter?: CallLimiter | undefined;
}

export interface PolicyCaller extends Caller {
  readonly identity: Identity;
  grants(): Grants;
}

export function createCaller({ identity, credential, inForce, limiter, mixed = () => {} }: CallerParts): PolicyCaller {
  const name = nameOf(identity);
  let policy = inForce();
  let grants = policy.grantsOf(identity);
  let limit = limitBy(grants, limiter);

  function current(): Grants {
    const now = inForce();
    if (now !== policy) {
      policy = now;
      grants = now.grantsOf(identity);
      limit = limitBy(grants, limiter);
    }
    return grants;
  }

  const limits = limiter?.of(name, () => {
    current();
    return limit;
  });

  function granted(role: Role, tenantId?: string): Grant | undefined {
    const grant = grantFor(current(), role, tenantId);
    const others = rolesApartFrom(role);
    if (grant === undefined || !policy.separation || others.length === 0) return grant;
    if (!holdsOne(grants, others, tenantId)) return grant;
    mixed(name, role);
    return undefined;
  }

  return {
    name,
    identity,
    credential,
    ...(limits && { limits }),
    grants: current,
    authorize(tenantId, role, of) {
      checkTenantId(tenantId);
      if (granted(role, tenantId) === undefined) throw denied(role, "for this tenant");
      if (of === undefined) limits?.tenant(tenantId);
      return tenantId;
    },
    every(role) {
      if (granted(role) === undefined) throw denied(role, "for all tenants");
    },
    has: (role, tenantId) => granted(role, tenantId) !== undefined,
    rule: (role, tenantId) => granted(role, tenantId)?.rule,
  };
}

/** Undefined for a caller that no rule names: it makes no calls. */
function limitBy(grants: Grants, limiter: CallLimiter | undefined): CallerLimit | undefined {
  if (limiter === undefined || grants.length === 0) return undefined;
  const ofRule = largestLimit(grants);
  return ofRule ? { perSecond: ofRule.perSecond, by: `the limit of rule ${ofRule.rule}` } : limiter.general;
}

function denied(role: Role, where: string): KmsError {
  return new KmsError("PERMISSION_DENIED", `the caller may not ${role} ${where}`, { metadata: { role } });
}
