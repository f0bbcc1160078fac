/** Credentials to caller. With authentication `none` the caller has every role and may name any tenant. */
import type { MaybePromise } from "../call/maybe-promise.ts";
import type { Carrier } from "./carrier.ts";
import { invalidField } from "../errors.ts";
import type { Caller } from "../call/context.ts";
import { tenantIdPattern } from "../call/ids.ts";

/**
 * Who makes a call, by its headers; asked before its body is decoded. Of a stream of gRPC it must answer at once, as what comes on the
 * stream meanwhile would be lost.
 */
export type Authenticate = <Native>(carrier: Pick<Carrier<Native>, "header">, native: Native) => MaybePromise<Caller>;

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

export const authenticateAnyone: Authenticate = () => anyone;
