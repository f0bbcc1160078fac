/** The order of the versions of every tenant and purpose: 1, 2, 3 … without a gap, and one ACTIVE at most. */
import { examineVersions, type VersionPlace } from "../examine/key-versions.ts";
import type { Moment } from "../examine/part.ts";
import type { RowCheck } from "../row-problem.ts";

export async function checkVersions(moment: Moment, problem: RowCheck["problem"]): Promise<void> {
  let at: VersionPlace | undefined;
  do {
    const { problems, next } = await examineVersions(moment, at);
    for (const found of problems) problem(found);
    at = next;
  } while (at !== undefined);
}
