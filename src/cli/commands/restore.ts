/** `restore`: a backup into an empty store. */
import { type KeyObject, randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { realTime } from "../../runtime/time.ts";
import { hasCode, KmsError } from "../../errors.ts";
import { acceptanceOf } from "../../store/acceptance.ts";
import type { LogName } from "../../store/log-store.ts";
import { openBackup, openTables, openTablesToFill } from "../../store/registry.ts";
import type { RowProblem } from "../../store/row-problem.ts";
import type { RowCounts } from "../../store/offline/row-counts.ts";
import type { Tables } from "../../store/offline/tables.ts";
import type { AuditEvent } from "../../store/audit-store.ts";
import { checkLogs } from "../check/logs.ts";
import { type KeptCheckpoint, readCheckpoints } from "../files.ts";
import { type Command, exitCode, Failure, jsonOption, textsOf } from "../command.ts";
import { configOption } from "../configuration.ts";
import { type NotedElsewhere, notedElsewhere } from "../check/heads.ts";
import { type LogOutcome, outcomesOf } from "../verify/known-checkpoints.ts";
import { printJson } from "../print.ts";
import { printRestored, type Restored, restoredJson } from "../check/restored.ts";
import { problemJson, problemText } from "../check/secret.ts";
import { type Progress, startProgress } from "../progress.ts";
import { countedRows, keyOf, presentProviderKeys, storeName, warnOfLog, using, withStore } from "../open-store.ts";

const warnings = [
  "Keys that were destroyed after the backup was made are back, and those that were disabled or marked as compromised are as before: do it again.",
  "Keys that were made after it are gone, and what is encrypted under them cannot be decrypted.",
  "Leases are reset; remembered request ids are kept.",
];
const endOfLogs =
  "Logs that end stay as they are, and the next batch of their tenant begins another: what they had after the backup was made is gone.";
const restorationBytes = 16;
/** More problems of a backup than anyone reads at once are counted. */
const shownProblems = 20;

export const restore: Command = {
  name: "restore",
  summary: "Fills an empty store from a backup.",
  options: [
    configOption,
    {
      name: "checkpoint",
      value: "FILE",
      repeatable: true,
      description:
        "the latest checkpoints that anyone has of logs, as signed notes: these logs go on if they reach them",
    },
    {
      name: "heads",
      value: "FILE",
      repeatable: true,
      description: "the heads file of another replica, which then accepts what the backup lacks",
    },
    jsonOption,
  ],
  operand: "FILE",
  details: [
    "Into the store that the settings name, which must be empty. The configured provider must open the backup, and every row of it must be as",
    "it was written; else nothing is changed. What was written is read anew, and checked, before it is said to be restored.",
    "Logs end with the backup: whoever has a later checkpoint of one must not see another entry in the place of one that it includes. The next",
    "batch begins a new log. With --checkpoint, a log goes on that has all the entries of the latest checkpoint.",
    "What the heads file of the store noted and the backup lacks is printed, and accepted by the restore. So are those that --heads names: of",
    "each other replica, which must be stopped.",
  ],
  run: (options, operand) =>
    withStore(options, (config) =>
      using(presentProviderKeys(config), (providerKeys) =>
        using(readable(operand), async (from) => {
          const known = readCheckpoints(textsOf(options, "checkpoint"));
          const { key } = await keyOf(from, providerKeys, `the backup ${operand}`);
          const files = textsOf(options, "heads").map((file) => resolve(file));
          const noted = await notedElsewhere(from, { key, config, files });
          const progress = startProgress();
          let restored: Restored;
          try {
            restored = await using(warnOfLog(openTablesToFill(config.store)), async (into) => {
              await refuseContent(into, storeName(config.store));
              return fill(into, { from, file: operand, key, known, noted, progress });
            });
            await using(openTables(config.store), (written) => refuseMisread(written, { key, restored, progress }));
          } finally {
            progress.end();
          }
          if (options.json === true) printJson(restoredJson(restored));
          else printRestored(restored);
          return exitCode.ok;
        }),
      ),
    ),
};

interface Filling {
  from: Tables;
  file: string;
  key: KeyObject;
  known: readonly KeptCheckpoint[];
  noted: NotedElsewhere;
  progress: Progress;
}

async function fill(into: Tables, { from, file, key, known, noted, progress }: Filling): Promise<Restored> {
  const at = realTime.now();
  const problems: RowProblem[] = [];
  const problem = (found: RowProblem) => problems.push(found);
  const tell = await progressOf(from, progress);
  const { heads } = await checkLogs(from, key, {
    problem,
    progress: tell.entries("entries of the backup's logs checked"),
  });
  if (problems.length > 0) refuse(new KmsError("DATA_LOSS", "logs of the backup are not as they were"), file, problems);
  const logs = await outcomesOf(from, key, { heads, known });
  const open = new Set(logs.filter(({ goesOn }) => goesOn).map(({ head }) => logId(head)));
  const goesOn = (log: LogName) => open.has(logId(log));
  const contents = await into
    .restore(from, {
      key,
      problem,
      progress: tell.checked("rows of the backup checked"),
      copied: tell.copied("rows restored"),
      compared: tell.checked("restored rows compared"),
      event: restoreEvent(at, noted.sha256s),
      goesOn,
    })
    .catch((error) => refuse(error, file, problems));
  return { contents, logs, lost: noted.lost, problems, warnings: warningsOf(logs, known), at };
}

interface Rereading {
  key: KeyObject;
  restored: Restored;
  progress: Progress;
}

/** Reads what was written anew, all of it: a disk may give back other bytes than it took. */
async function refuseMisread(written: Tables, { key, restored: { problems }, progress }: Rereading): Promise<void> {
  const [first] = await misreadings(written, { key, known: new Set(problems.map(problemText)), progress });
  if (first === undefined) return;
  const message = `the restored store does not read as it was written (${first}): do not use it, see to its disk, and restore into another`;
  throw new Failure(message, { code: "DATA_LOSS", message, fields: [] });
}

/** Problems that the backup does not have, in words. */
async function misreadings(
  written: Tables,
  { key, known, progress }: { key: KeyObject; known: ReadonlySet<string>; progress: Progress },
): Promise<string[]> {
  const found: string[] = [];
  const problem = (one: RowProblem) => {
    if (!known.has(problemText(one))) found.push(problemText(one));
  };
  try {
    await written.heads(key).refuseDamaged();
    const tell = await progressOf(written, progress);
    await written.check(key, { problem, progress: tell.checked("restored rows read again") });
    await checkLogs(written, key, { problem, progress: tell.entries("restored entries of logs read again") });
  } catch (error) {
    if (!hasCode(error, "DATA_LOSS")) throw error;
    found.push(error.message);
  }
  return found;
}

/** Returns what shows the progress of each part of the work on these tables. */
async function progressOf(tables: Tables, progress: Progress) {
  const counts = progress.isSeen ? await countedRows(tables) : undefined;
  const of = (part: keyof RowCounts) => (what: string) => {
    let isBegun = false;
    return (count: number) => {
      if (!isBegun) progress.next();
      isBegun = true;
      progress.show(`${count} ${what}`, count, counts?.[part]);
    };
  };
  return { copied: of("copied"), checked: of("checked"), entries: of("entries") };
}

function logId({ tenantId, number }: LogName): string {
  return `${tenantId}/${number}`;
}

function warningsOf(logs: readonly LogOutcome[], known: readonly KeptCheckpoint[]): string[] {
  const isEnding = logs.some(({ goesOn }) => !goesOn);
  const strange = known.filter(({ origin }) => !logs.some(({ head }) => head.origin === origin));
  return [
    ...warnings,
    ...(isEnding ? [endOfLogs] : []),
    ...strange.map(({ origin }) => `There is a checkpoint of ${origin}, and no such log in the backup.`),
  ];
}

async function readable(file: string): Promise<Tables> {
  try {
    return await warnOfLog(openBackup(resolve(file)));
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    const { code } = error;
    const message = `${file} is no backup that can be read: ${error.message}`;
    throw new Failure(message, { code, message, fields: [] });
  }
}

async function refuseContent(into: Tables, what: string): Promise<void> {
  const content = await into.content();
  if (content !== undefined) throw notEmpty(what, content);
}

function notEmpty(what: string, content: string): KmsError {
  return new KmsError("CONFLICT", `${what} is not empty, it has ${content}; name an empty one, or move this one away`);
}

function refuse(error: unknown, file: string, problems: readonly RowProblem[]): never {
  if (!hasCode(error, "DATA_LOSS")) throw error;
  const { code } = error;
  const message = `${error.message}; nothing was restored: use another backup than ${file}`;
  const lines = problems.slice(0, shownProblems).map(problemText);
  if (problems.length > shownProblems) lines.push(`and ${problems.length - shownProblems} more`);
  throw new Failure([message, ...lines].join("\n"), { code, message, fields: [], problems: problems.map(problemJson) });
}

/** It accepts the heads files with these SHA-256. */
function restoreEvent(at: Date, heads: readonly string[]): AuditEvent {
  return {
    at,
    actor: "command line",
    action: "restore",
    tenantId: "",
    purpose: undefined,
    keyId: "",
    outcome: "OK",
    requestId: "",
    count: 1,
    detail: acceptanceOf({ restoration: randomBytes(restorationBytes).toString("hex") }, heads),
  };
}
