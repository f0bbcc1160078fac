/** How the ids in requests are spelled. */
import { invalidField } from "../errors.ts";

export const tenantIdPattern = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const keyIdPattern = /^[0-9a-f]{32}$/;
const requestIdPattern = /^[\x21-\x7e]{0,128}$/;

export function checkTenantId(tenantId: string): string {
  if (tenantIdPattern.test(tenantId)) return tenantId;
  throw invalidField(
    "tenant_id",
    tenantId === "" ? "is required" : "must match ^[a-z0-9][a-z0-9._-]{0,62}$: lower-case ASCII, at most 63 characters",
  );
}

export function checkKeyId(keyId: string): string {
  if (keyIdPattern.test(keyId)) return keyId;
  throw invalidField("key_id", keyId === "" ? "is required" : "must match ^[0-9a-f]{32}$: 32 lower-case hex digits");
}

/** A name that the caller gives to its request; may be empty. */
export function checkRequestId(requestId: string): string {
  if (requestIdPattern.test(requestId)) return requestId;
  throw invalidField("request_id", "is at most 128 printable ASCII characters");
}
