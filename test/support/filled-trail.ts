/** Audit rows as a process wrote them before, for what reads a trail of many pages. */
import type { Store } from "../../src/store/store.ts";

const pageRows = 1_000;

/** Appends `rows` uses of `tenantId`, a thousand at a time. */
export async function fillTrail(store: Pick<Store, "appendAudit">, rows: number, tenantId: string): Promise<void> {
  const event = { actor: "ann", action: "sign_span", tenantId, purpose: "signing", keyId: "" } as const;
  const rest = { outcome: "OK", requestId: "", count: 1 };
  const page = Array.from({ length: pageRows }, () => ({ ...event, at: new Date(), ...rest }));
  for (let written = 0; written < rows; written += pageRows) await store.appendAudit(page);
}
