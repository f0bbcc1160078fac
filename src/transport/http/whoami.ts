/** `GET /api/kms/whoami`: a caller's own name and grants, also for one whom no rule names. */
import type { PolicyCaller } from "../../auth/caller.ts";
import type { Grant } from "../../auth/policy/grants.ts";
import type { Caller } from "../../call/context.ts";
import { roles } from "../../call/roles.ts";
import type { HttpDoor } from "./door.ts";
import { jsonReply, type Route } from "./route.ts";

export function whoamiRoute({ policySha256 }: Pick<HttpDoor, "policySha256">): Route {
  return {
    method: "GET",
    path: /^\/api\/kms\/whoami$/,
    identifies: true,
    answer: ({ caller }) => jsonReply(isUnderPolicy(caller) ? known(caller, policySha256()) : anonymous(caller)),
  };
}

/** Tells a caller of a policy from the one that there is without authentication. */
function isUnderPolicy(caller: Caller): caller is PolicyCaller {
  return "grants" in caller;
}

/** Whether some rule names the caller, or there are none. */
export function hasGrant(caller: Caller): boolean {
  return !isUnderPolicy(caller) || caller.grants().length > 0;
}

function known(caller: PolicyCaller, policySha256: string | undefined) {
  return {
    name: caller.name,
    kind: caller.identity.kind,
    until: untilText(caller.credential?.untilMs),
    grants: caller.grants().map(grantJson),
    policy_sha256: policySha256,
  };
}

function anonymous({ name }: Caller) {
  return { name, kind: "anonymous", grants: [{ roles, tenants: ["*"] }] };
}

/** Roles in the order in which docs and messages list them. */
function grantJson({ rule, roles: granted, all, tenants: { ids, prefixes } }: Grant) {
  const tenants = all ? ["*"] : [...ids, ...prefixes.map((prefix) => `${prefix}*`)];
  return { rule, roles: roles.filter((role) => granted.has(role)), tenants };
}

/** RFC 3339 has years of four digits, and a certificate of the last day among them has no end (RFC 5280, §4.1.2.5). */
const neverMs = Date.UTC(9999, 11, 31);

/** RFC 3339; undefined, which JSON leaves out, where a credential does not end. */
function untilText(untilMs = Number.POSITIVE_INFINITY): string | undefined {
  return untilMs < neverMs ? new Date(untilMs).toISOString() : undefined;
}
