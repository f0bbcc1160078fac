/** The tenant among options: `tenantId`, or for one more release `tenant`, as it was called before. */

export type TenantOption =
  | {
      /** Tenant, 1 to 63 characters. */
      tenantId: string;
      tenant?: undefined;
    }
  | {
      tenantId?: undefined;
      /** @deprecated Use `tenantId`. */
      tenant: string;
    };

/** The same where no tenant is a choice, too. */
export type OptionalTenant =
  | { tenantId?: string | undefined; tenant?: undefined }
  | {
      tenantId?: undefined;
      /** @deprecated Use `tenantId`. */
      tenant?: string | undefined;
    };

/** Throws TypeError if both names are given. */
export function optionalTenant({ tenantId, tenant }: { tenantId?: string | undefined; tenant?: string | undefined }) {
  if (tenantId !== undefined && tenant !== undefined)
    throw new TypeError("tenantId and tenant are both given; tenant is the former name of tenantId");
  return tenantId ?? tenant;
}

/** Throws TypeError if both names are given, or neither. */
export function tenantOf(options: TenantOption): string {
  const tenant = optionalTenant(options);
  if (tenant === undefined) throw new TypeError("tenantId is missing");
  return tenant;
}
