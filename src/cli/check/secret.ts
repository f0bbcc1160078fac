/** Whether the provider opens a record and finds the key that the record names; and problems of rows as text and JSON. */
import { hasCode, type KmsErrorCode } from "../../errors.ts";
import type { KeyRecord } from "../../store/key-record.ts";
import type { RowProblem } from "../../store/row-problem.ts";
import { unwrap } from "../../keys/unwrap.ts";
import { hasWrapped, type ProviderKeys } from "../../provider-keys/provider-keys.ts";

export type Problem = Omit<RowProblem, "kind"> & { kind: string };

/**
 * Undefined where all is well. Throws where the provider does not answer: that says nothing about the record. Of a tenant's own provider
 * key it is expected like a refusal, so that the others are checked.
 */
export async function checkSecret(providerKeys: ProviderKeys, record: KeyRecord): Promise<Problem | undefined> {
  const { tenantId, keyId, purpose, state, wrapped } = record;
  const found = (kind: string, what: string): Problem => ({ kind, tenantId, keyId, purpose, what });
  if (state === "DESTROYED") {
    return wrapped.length === 0
      ? undefined
      : found("not_destroyed", "the key is DESTROYED, and its wrapped form is still there");
  }
  let secret: Uint8Array;
  try {
    secret = await unwrap(providerKeys, record);
  } catch (error) {
    const isOfAll = providerKeys.shared.some((provider) => hasWrapped(provider, record));
    const expected: KmsErrorCode[] = [
      "DATA_LOSS",
      "PROVIDER_DENIED",
      ...(isOfAll ? [] : ["PROVIDER_UNAVAILABLE" as const]),
    ];
    if (!hasCode(error, ...expected)) throw error;
    return found("unwrap", error.message);
  }
  secret.fill(0);
  return undefined;
}

export function problemText({ kind, tenantId, purpose, keyId, what }: Problem): string {
  const key = [tenantId && `tenant ${tenantId}`, purpose, keyId && `key ${keyId}`].filter(Boolean).join(", ");
  return `${kind}: ${key === "" ? "" : `${key}: `}${what}`;
}

export function problemJson({ kind, tenantId, purpose, keyId, what }: Problem) {
  return { kind, tenant_id: tenantId, purpose: purpose ?? null, key_id: keyId, what };
}
