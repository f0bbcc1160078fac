/** What an auditor does with the spans of a backend: verifies them by the tenant's public keys. Only fetching those needs the service. */
import { parseKeySet, type Verdict, verifyExport } from "@fluo/kms/verify";

export async function verdictsOn(
  exports: readonly Uint8Array[],
  { url, tenant }: { url: string; tenant: string },
): Promise<Verdict[]> {
  const response = await fetch(`${url}/api/kms/tenants/${tenant}/jwks.json`);
  const keys = await parseKeySet(await response.text());
  const verdicts: Verdict[] = [];
  for (const bytes of exports) verdicts.push(...(await verifyExport(keys, bytes, tenant)));
  return verdicts;
}
