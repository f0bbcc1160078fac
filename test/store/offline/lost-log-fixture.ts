/** Accepting what the log of a SQLite store lost, and what of it is left in the store. */
import { DatabaseSync } from "node:sqlite";
import { checkLogs } from "../../../src/cli/check/logs.ts";
import { unwrapStoreKey } from "../../../src/keys/store-key/unlock.ts";
import { providerKeys } from "../../../src/provider-keys/provider-keys.ts";
import { openProvider } from "../../../src/provider/registry.ts";
import { type Acceptance, acceptLostLog } from "../../../src/store/offline/lost-log.ts";
import { examineLog } from "../../../src/store/sqlite/ready-log.ts";
import type { CrashedStore } from "../../support/crashed-store.ts";
import { realTime } from "../../../src/runtime/time.ts";

export const at = new Date("2026-11-28T10:00:00.123Z");

export function digestOf(file: string): string {
  return examineLog({ file }).problem!.metadata.digest!;
}

/** Accepts the loss as the command does. */
export async function accept({ file, where }: CrashedStore, digest = digestOf(file)) {
  const acceptance: Acceptance = {
    digest,
    actor: "command line",
    at,
    async keyOf(tables) {
      const [provider] = await openProvider({ name: "local", masterKeyFile: where.masterKeyFile }, realTime);
      return unwrapStoreKey((await tables.storeKey())!, providerKeys({ current: provider }));
    },
    async checkLogs(tables, key, problem) {
      await checkLogs(tables, key, { problem, progress() {} });
    },
  };
  return acceptLostLog({ file }, acceptance);
}

export function tenantsIn(file: string): string[] {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return db
      .prepare("select distinct tenant_id from kms_keys order by 1")
      .all()
      .map((row) => String(row.tenant_id));
  } finally {
    db.close();
  }
}

/** What the audit trail says of accepted losses. */
export function acceptancesIn(file: string) {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return db.prepare("select detail, actor, at from kms_audit where action = 'accept_rollback'").all();
  } finally {
    db.close();
  }
}
