/** A problem of a stored row, as it is told. */
import type { RowProblem } from "../../store/offline/row-problem.ts";

export type Problem = Omit<RowProblem, "kind"> & { kind: string };

export function problemText({ kind, tenantId, purpose, keyId, what }: Problem): string {
  const key = [tenantId && `tenant ${tenantId}`, purpose, keyId && `key ${keyId}`].filter(Boolean).join(", ");
  return `${kind}: ${key === "" ? "" : `${key}: `}${what}`;
}

export function problemJson({ kind, tenantId, purpose, keyId, what }: Problem) {
  return { kind, tenant_id: tenantId, purpose: purpose ?? null, key_id: keyId, what };
}
