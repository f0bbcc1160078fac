/** Does the provider open a record, and is what it holds the key that the record says? */
import { KmsError } from "../errors.ts";
import type { KeyRecord } from "../keys/record.ts";
import { unwrap } from "../keys/unwrap.ts";
import type { MasterKeys } from "../keys/master-keys.ts";
import type { Problem } from "./row-problem.ts";

/** Undefined where all is well. Throws where the provider does not answer: that says nothing about the record. */
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
    if (!(error instanceof KmsError) || !["DATA_LOSS", "PROVIDER_DENIED"].includes(error.code)) throw error;
    return found("unwrap", error.message);
  }
  secret.fill(0);
  return undefined;
}
