/** Roles that one identity must not hold for one tenant, unless the policy says so: what it did with the one it could hide with the other. */
import type { Role } from "../../call/roles.ts";

interface Apart {
  some: readonly Role[];
  why: string;
}

/** Keyed by the role that is refused if a caller has one of the others. */
const apart: Partial<Readonly<Record<Role, Apart>>> = {
  destroy: { some: ["decrypt", "decrypt-data-key", "break-glass"], why: "who may decrypt may not destroy" },
  "mark-compromised": { some: ["sign"], why: "who may sign may not mark a key as compromised" },
};
const none: readonly Role[] = [];

/** Roles that are refused beside others. */
export const separatedRoles = Object.keys(apart) as readonly Role[];

/** Why roles may not be together; undefined where they may. */
export function mixedRoles(roles: ReadonlySet<Role>): string | undefined {
  return [...roles].map((role) => apart[role]).find((each) => each?.some.some((role) => roles.has(role)))?.why;
}

/** The roles of which a caller that has `role` for a tenant may have none for the same. */
export function rolesApartFrom(role: Role): readonly Role[] {
  return apart[role]?.some ?? none;
}
