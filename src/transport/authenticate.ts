/** Credentials to caller. With authentication `none` the caller has every role and may name any tenant. */
import { invalidField } from "../errors.ts";
import type { Caller } from "../service/context.ts";

const tenantPattern = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** The caller of a service that has authentication `none`: loopback only, see config.ts. */
export const anyone: Caller = {
  tenant(tenantId) {
    if (!tenantPattern.test(tenantId)) {
      throw invalidField(
        "tenant_id",
        tenantId === ""
          ? "is required"
          : "must match ^[a-z0-9][a-z0-9._-]{0,62}$: lower-case ASCII, at most 63 characters",
      );
    }
    return tenantId;
  },
  require() {},
};
