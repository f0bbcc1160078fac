/** Every log of a store, recomputed from its entries. */
import type { KeyObject } from "node:crypto";
import type { RowProblem } from "../../store/row-problem.ts";
import type { Tables } from "../../store/offline/tables.ts";
import type { LogHead } from "../../store/log-store.ts";
import { checkLog } from "./log-content.ts";

export interface CheckedLogs {
  /** Those that are authentic. */
  heads: LogHead[];
  /** That were read. */
  entries: number;
}

export async function checkLogs(
  tables: Tables,
  key: KeyObject,
  { problem, progress }: { problem(found: RowProblem): void; progress(entries: number): void },
): Promise<CheckedLogs> {
  const checked: CheckedLogs = { heads: [], entries: 0 };
  await tables.logs(key, async (log) => {
    const { tenantId, number } = log.head;
    const found = (what: string) =>
      problem({ kind: "log_content", tenantId, keyId: "", purpose: undefined, what: `log ${number}: ${what}` });
    await checkLog(log, found, (entries) => {
      checked.entries += entries;
      progress(checked.entries);
    });
    checked.heads.push(log.head);
  });
  return checked;
}
