/** Scope of a failed rotation: the service, or a tenant whose own provider key was refused or gave no answer. */
import { hasCode, type KmsErrorCode } from "../../errors.ts";
import type { FailedRotation } from "./rotation.ts";

export type RotationScope = "service" | "tenant";

const ofProvider: readonly KmsErrorCode[] = ["PROVIDER_DENIED", "PROVIDER_UNAVAILABLE"];

/** Returns the scope. `hasOwnKey` tells whether a tenant has a provider key of its own. */
export function failureScope(
  { tenantId, error }: Pick<FailedRotation, "tenantId"> & { error: unknown },
  hasOwnKey: (tenantId: string) => boolean,
): RotationScope {
  return hasCode(error, ...ofProvider) && hasOwnKey(tenantId) ? "tenant" : "service";
}
