/** The versions of each tenant's keys in order, a page at a time: 1, 2, 3 … without a gap, and at most one ACTIVE. */
import type { RowValue } from "../sql/rows/mac.ts";
import type { Row } from "../sql/rows/database.ts";
import { onward, type Place } from "../sql/rows/walk.ts";
import type { Purpose } from "../key-record.ts";
import type { RowProblem } from "../row-problem.ts";
import { pageOf } from "./pages.ts";
import type { Moment, Piece } from "./part.ts";

export interface VersionPlace {
  after: Place;
  /** The last version of the tenant and purpose at which the page ended, if it has more than a page. */
  version: number;
}

const order = ["tenant_id", "purpose", "version"];

/**
 * A page ends with a tenant and purpose, whose states are of one moment. Those of a tenant and purpose with more than a page are counted by
 * the page.
 */
export async function examineVersions({ query }: Moment, at?: VersionPlace): Promise<Piece<VersionPlace>> {
  const { rows, next } = await pageOf(query, "kms_keys", at?.after, { order, condition: "version > 0" });
  const groups = [...Map.groupBy(rows, nameOf).values()];
  const isCut = next !== undefined;
  if (isCut && groups.length > 1) groups.pop();
  const problems = groups.flatMap((group) => {
    const isContinued = at !== undefined && at.version > 0 && nameOf(group[0]!) === groupOf(at.after);
    return problemsOf(group, isContinued ? at.version : 0);
  });
  const looked = groups.reduce((sum, { length }) => sum + length, 0);
  if (!isCut) return { rows: looked, problems, next: undefined };
  const last = groups.at(-1)!.at(-1)!;
  const end = order.map((column) => last[column] ?? null);
  return {
    rows: looked,
    problems,
    next: { after: onward("kms_keys", at?.after, end), version: groups.length > 1 ? 0 : Number(last.version) },
  };
}

function nameOf({ tenant_id, purpose }: Row): string {
  return groupOf([tenant_id!, purpose!]);
}

function groupOf([tenantId, purpose]: readonly RowValue[]): string {
  return `${tenantId}/${purpose}`;
}

/** `before` is the version that came before the first row. */
export function problemsOf(rows: readonly Row[], before: number): RowProblem[] {
  const problems: RowProblem[] = [];
  let last = before;
  let active = 0;
  for (const row of rows) {
    const [tenantId, keyId, purpose] = [String(row.tenant_id), String(row.key_id), row.purpose as Purpose];
    const report = (kind: RowProblem["kind"], what: string) => problems.push({ kind, tenantId, keyId, purpose, what });
    const version = Number(row.version);
    if (version <= last) report("versions", `version ${version} of the ${purpose} key is there twice`);
    else if (version === last + 2) report("versions", `version ${last + 1} of the ${purpose} key is missing`);
    else if (version > last + 2) {
      report("versions", `versions ${last + 1} to ${version - 1} of the ${purpose} key are missing`);
    }
    last = version;
    if (row.state === "ACTIVE") active += 1;
    if (row.state === "ACTIVE" && active > 1) report("several_active", `${active} ${purpose} keys are ACTIVE`);
  }
  return problems;
}
