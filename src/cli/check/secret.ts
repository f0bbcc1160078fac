/** Does the provider open a record, and is what it holds the key that the record says? */
import { hasCode, type KmsErrorCode } from "../../errors.ts";
import type { KeyRecord } from "../../store/key-record.ts";
import { unwrap } from "../../keys/unwrap.ts";
import { hasWrapped, type MasterKeys } from "../../provider-keys/provider-keys.ts";
import type { Problem } from "./row-problem.ts";

/**
 * Undefined where all is well. Throws where the provider does not answer: that says nothing about the record. Of a tenant's own provider
 * key it is told like a refusal, so that the others are checked.
 */
export async function checkSecret(masterKeys: MasterKeys, record: KeyRecord): Promise<Problem | undefined> {
  const { tenantId, keyId, purpose, state, wrapped } = record;
  const found = (kind: string, what: string): Problem => ({ kind, tenantId, keyId, purpose, what });
  if (state === "DESTROYED") {
    return wrapped.length === 0
      ? undefined
      : found("not_destroyed", "the key is DESTROYED, and its wrapped form is still there");
  }
  let secret: Uint8Array;
  try {
    secret = await unwrap(masterKeys, record);
  } catch (error) {
    const isOfAll = masterKeys.shared.some((provider) => hasWrapped(provider, record));
    const told: KmsErrorCode[] = [
      "DATA_LOSS",
      "PROVIDER_DENIED",
      ...(isOfAll ? [] : ["PROVIDER_UNAVAILABLE" as const]),
    ];
    if (!hasCode(error, ...told)) throw error;
    return found("unwrap", error.message);
  }
  secret.fill(0);
  return undefined;
}
