/** Credentials to caller. With authentication `none` the caller has every role and may name any tenant. */
import { invalidField } from "../errors.ts";
import type { Caller } from "../call/context.ts";
import { tenantIdPattern } from "../call/ids.ts";

/** The caller of a service that has authentication `none`: loopback only, see config/load.ts. */
export const anyone: Caller = {
  name: "anonymous",
  tenant(tenantId) {
    if (!tenantIdPattern.test(tenantId)) {
      throw invalidField(
        "tenant_id",
        tenantId === ""
          ? "is required"
          : "must match ^[a-z0-9][a-z0-9._-]{0,62}$: lower-case ASCII, at most 63 characters",
      );
    }
    return tenantId;
  },
  has: () => true,
  require() {},
};
