/** `check`: is every record there, as it was written, and does the provider open it? Reads only, and beside a running service. */
import type { KeyObject } from "node:crypto";
import { realTime } from "../../runtime/time.ts";
import type { Config } from "../../config/config.ts";
import { KmsError } from "../../errors.ts";
import type { ProviderKeys } from "../../provider-keys/provider-keys.ts";
import type { CheckedRows } from "../../store/offline/check-rows.ts";
import { openTables } from "../../store/registry.ts";
import type { Tables } from "../../store/offline/tables.ts";
import { type Command, exitCode, jsonOption } from "../command.ts";
import { configOption } from "../configuration.ts";
import { type CheckedLogs, checkLogs } from "../check/logs.ts";
import { checkSecret, type Problem, problemJson, problemText } from "../check/secret.ts";
import { headsProblem } from "../check/heads.ts";
import { type Progress, startProgress } from "../progress.ts";
import { problemsSaid, printJson, printLine, printTable } from "../print.ts";
import { bad } from "../styled.ts";
import {
  countedRows,
  keyOf,
  logJson,
  logsText,
  everyProviderKey,
  providerKeyJson,
  providerKeyRows,
  statesText,
  storeName,
  warnOfLog,
  using,
  withStore,
} from "../open-store.ts";

interface Report {
  /** Time at which the check was begun. It may not have looked at what was written later. */
  checkedAt: Date;
  store: string;
  storeId: string;
  log: Tables["log"];
  rows: CheckedRows;
  logs: CheckedLogs;
  /** Keys that the provider opened. */
  opened: number;
  problems: readonly Problem[];
}

const ofNoKey = { tenantId: "", keyId: "", purpose: undefined };
const pageKeys = 200;
const callsInFlight = 8;

export const check: Command = {
  name: "check",
  summary: "Checks every record of the store: its HMAC, the audit trail, the logs, and whether the provider opens it.",
  options: [configOption, { ...jsonOption, description: "print JSON, as is done where the output is no terminal" }],
  details: [
    "Opens the store that the settings name, and reads only: a service may be using it. Every key costs a call of the provider.",
    "What the heads file noted must be in the store. Logs are recomputed from their entries. What is found is named with tenant and key, or log and entry.",
  ],
  run: (options) =>
    withStore(options, (config) =>
      using(everyProviderKey(config), (providerKeys) =>
        using(warnOfLog(openTables(config.store)), async (tables) => {
          const checkedAt = realTime.now();
          const store = storeName(config.store);
          const { stored, key } = await keyOf(tables, providerKeys, store);
          const found = await examined({ tables, key, providerKeys, config });
          const { name, log } = tables;
          const report = { checkedAt, store: name, storeId: stored.storeId, log, ...found };
          if (options.json === true || !process.stdout.isTTY) printJson(json(report));
          else print(report);
          return found.problems.length === 0 ? exitCode.ok : exitCode.failed;
        }),
      ),
    ),
};

interface Opened {
  tables: Tables;
  key: KeyObject;
  providerKeys: ProviderKeys;
  config: Config;
}

type Found = Pick<Report, "rows" | "logs" | "opened" | "problems">;

async function examined({ tables, key, providerKeys, config }: Opened): Promise<Found> {
  const progress = startProgress();
  const problems: Problem[] = [];
  const problem = (found: Problem) => problems.push(found);
  try {
    const counts = progress.isSeen ? await countedRows(tables) : undefined;
    const rows = await tables.check(key, {
      problem,
      progress: (count) => progress.show(`${count} rows looked at`, count, counts?.checked),
    });
    progress.next();
    const logs = await checkLogs(tables, key, {
      problem,
      progress: (count) => progress.show(`${count} entries of logs looked at`, count, counts?.entries),
    });
    const ofHeads = await headsProblem(tables, key, config);
    if (ofHeads !== undefined) problem({ ...ofNoKey, ...ofHeads });
    progress.next();
    const opened = await openSecrets({ tables, key, providerKeys, problems, progress, keys: keysIn(rows) });
    return { rows, logs, opened, problems };
  } finally {
    progress.end();
  }
}

/** Keys that have a secret. */
function keysIn({ keys }: CheckedRows): number {
  const counts = Object.values(keys).flatMap(({ DESTROYED: _, ...states }) => Object.values(states));
  return counts.reduce((sum, count) => sum + count, 0);
}

interface Opening {
  tables: Tables;
  key: KeyObject;
  providerKeys: ProviderKeys;
  problems: Problem[];
  progress: Progress;
  keys: number;
}

/** How many were opened. A provider that does not answer ends it, with a problem of its own. */
async function openSecrets({ tables, key, providerKeys, problems, progress, keys }: Opening): Promise<number> {
  let opened = 0;
  let after: string | undefined = "";
  while (after !== undefined) {
    const page = await tables.records(key, { after, limit: pageKeys });
    const waiting = page.records.values();
    const work = async () => {
      for (const record of waiting) {
        const problem = await checkSecret(providerKeys, record);
        if (problem !== undefined) problems.push(problem);
        else if (record.state !== "DESTROYED") opened += 1;
        progress.show(`${opened} keys opened`, opened, keys);
      }
    };
    try {
      await Promise.all(Array.from({ length: callsInFlight }, work));
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      const what = `the provider did not go on (${error.message}): ${opened} keys were opened; try again`;
      problems.push({ ...ofNoKey, kind: "provider", what });
      return opened;
    }
    after = page.next;
  }
  return opened;
}

function print({ store, storeId, log, rows, logs, opened, problems }: Report): void {
  printTable([
    ["store", `${store} ${storeId}`],
    ...(log === undefined ? [] : [["write-ahead log", log.text]]),
    ...Object.entries(rows.keys).map(([purpose, states]) => [`${purpose} keys`, statesText(states)]),
    ["opened", `${opened} keys`],
    ...providerKeyRows(rows.providerKeys),
    ["logs", logsText(logs.heads)],
    ...(rows.unusedHandovers > 0 ? [["unused handovers", unusedText(rows.unusedHandovers)]] : []),
    ["audit events", `${rows.auditEvents} of ${rows.heads.length} writers`],
  ]);
  for (const problem of problems) printLine(bad("problem", `: ${problemText(problem)}`));
  printLine(problemsSaid(problems.length));
}

function unusedText(count: number): string {
  return count === 1 ? "1 that was not used" : `${count} that were not used`;
}

function json({ checkedAt, store, storeId, log, rows, logs, opened, problems }: Report) {
  return {
    ok: problems.length === 0,
    checked_at: checkedAt.toISOString(),
    store,
    store_id: storeId,
    write_ahead_log: log === undefined ? null : logFileJson(log),
    keys: rows.keys,
    opened,
    provider_keys: rows.providerKeys.map(providerKeyJson),
    logs: logs.heads.map(logJson),
    unused_handovers: rows.unusedHandovers,
    audit: {
      events: rows.auditEvents,
      heads: rows.heads.map(({ writerId, sequence, mac }) => ({
        writer_id: writerId,
        sequence,
        mac: Buffer.from(mac).toString("hex"),
      })),
    },
    problems: problems.map(problemJson),
  };
}

function logFileJson({ verdict, text, firstDamaged, setAside, lastCommit, commits }: NonNullable<Tables["log"]>) {
  return {
    verdict: verdict.replace(" ", "_"),
    text,
    ...(firstDamaged !== undefined && { first_damaged: firstDamaged }),
    ...(setAside !== undefined && { set_aside: setAside }),
    ...(lastCommit !== undefined && { last_commit: lastCommit }),
    ...(commits !== undefined && { commits }),
  };
}
