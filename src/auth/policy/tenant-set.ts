/** Tenants that a rule names: ids, and prefixes such as `acme-*`. */
import { tenantIdPattern } from "../../call/ids.ts";

export interface TenantSet {
  readonly ids: ReadonlySet<string>;
  /** Prefixes without their star. */
  readonly prefixes: readonly string[];
}

export const noTenants: TenantSet = { ids: new Set(), prefixes: [] };

/** `acme` or `acme-*`. A star follows what ends a word, since `acme*` would be `acmecorp` too. */
export function isTenantOrPrefix(text: string): boolean {
  return tenantIdPattern.test(/[._-]\*$/.test(text) ? text.slice(0, -1) : text);
}

/** Makes a set of texts, each of which is a tenant or a prefix. */
export function tenantSet(texts: readonly string[]): TenantSet {
  return {
    ids: new Set(texts.filter((text) => !text.endsWith("*"))),
    prefixes: texts.filter((text) => text.endsWith("*")).map((text) => text.slice(0, -1)),
  };
}

export function hasTenant({ ids, prefixes }: TenantSet, tenantId: string): boolean {
  return ids.has(tenantId) || prefixes.some((prefix) => tenantId.startsWith(prefix));
}
