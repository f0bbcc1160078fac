/** `backup`: the whole store in one new file, while the service goes on. */
import { resolve } from "node:path";
import { realTime } from "../../runtime/time.ts";
import type { Config } from "../../config/config.ts";
import { KmsError } from "../../errors.ts";
import { backUpInto, type DatedBackup, mostKept } from "../../store/offline/backup-directory.ts";
import type { Tables } from "../../store/offline/tables.ts";
import { placeOf } from "../../store/heads/place.ts";
import { refuseBehind } from "../../store/heads/judge.ts";
import { openTables } from "../../store/registry.ts";
import { type Command, exitCode, Failure, jsonOption, type OptionValues, textOf, UsageError } from "../command.ts";
import { configOption } from "../configuration.ts";
import { withAdvice } from "../failures.ts";
import { noteDone } from "../note-done.ts";
import { printError, printJson, printLine, printTable } from "../print.ts";
import { startProgress } from "../progress.ts";
import { warning } from "../styled.ts";
import { contentsJson, contentsRows, countedRows, warnOfLog, using, withStore } from "../open-store.ts";

export const backup: Command = {
  name: "backup",
  summary: "Copies the whole store into a new file, while the service may be running.",
  options: [
    configOption,
    { name: "directory", value: "DIR", description: "write a file named for the store and the time there, not FILE" },
    {
      name: "keep",
      value: "N",
      description: "with --directory: remove older backups of the store but N, 48 if not given",
    },
    jsonOption,
  ],
  operand: "[FILE]",
  details: [
    "Opens the store that the settings name; the provider is not needed. The backup is a SQLite file, of a PostgreSQL store too, and holds",
    "keys only as the provider wrapped them: without the provider's key, or the local provider's key file, it is worth nothing.",
    "With --directory the file is fluo-kms-<8 digits of the store's id>-<UTC time>.db, and files with other names are never removed.",
    "Where an older one cannot be removed the new one is there all the same, and the exit code is 1.",
    "A store that is behind its heads file is not backed up: the backup would be of a loss, and --keep would remove a good one for it.",
    "If fluo.kms.backup.interval is set, the store notes that it was made. For that the provider is needed, and one row is written.",
  ],
  run(options, operand?: string) {
    const target = targetOf(options, operand);
    return withStore(options, async (config) => {
      const at = realTime.now(); // what is made later is not in it
      const made = await using(warnOfLog(openTables(config.store)), async (tables) => {
        await refuseBehind(tables.heads(undefined), undefined, placeOf(config.store, config.heads));
        return written(tables, target, at);
      });
      const noted = config.backupIntervalMs > 0 && (await noteBackup(config, at));
      print(made, { noted, isJson: options.json === true });
      if (made.problem === undefined) return exitCode.ok;
      printError(`fluo-kms: the backup was made, and not all could go that should: ${made.problem}`);
      return exitCode.failed;
    });
  },
};

type Target = { file: string } | { directory: string; keep: number };

/** A backup in a file that was named has no older ones. */
type Made = Omit<DatedBackup, "removed"> & { removed?: number };

const standardKeep = "48";

function targetOf(options: OptionValues, operand: string | undefined): Target {
  const [directory, keep] = [textOf(options, "directory"), textOf(options, "keep")];
  if (directory === undefined && operand === undefined) throw new UsageError("backup needs FILE or --directory DIR");
  if (directory !== undefined && operand !== undefined)
    throw new UsageError("backup takes FILE or --directory, not both");
  if (directory === undefined) {
    if (keep !== undefined) throw new UsageError("--keep needs --directory: a FILE has no older ones");
    return { file: resolve(operand!) };
  }
  return { directory: resolve(directory), keep: keepOf(keep ?? standardKeep) };
}

function keepOf(text: string): number {
  const keep = Number(text);
  if (/^\d{1,5}$/.test(text) && keep >= 1 && keep <= mostKept) return keep;
  throw new UsageError(`--keep must be a whole number from 1 to ${mostKept}, not ${text}`);
}

async function written(tables: Tables, target: Target, at: Date): Promise<Made> {
  const progress = startProgress();
  try {
    const total = progress.isSeen ? (await countedRows(tables))?.copied : undefined;
    const copied = (rows: number) => progress.show(`${rows} rows copied`, rows, total);
    if ("directory" in target) return await backUpInto(tables, { ...target, at, copied });
    return { file: target.file, contents: await tables.backUp(target.file, { copied }), problem: undefined };
  } finally {
    progress.end();
  }
}

function print(
  { file, contents, removed, problem }: Made,
  { noted, isJson }: { noted: boolean; isJson: boolean },
): void {
  if (isJson) {
    const older = removed === undefined ? {} : { removed, problem: problem ?? null };
    printJson({ file, ...contentsJson(contents), ...older, noted });
    return;
  }
  printLine(`backed up to ${file}`);
  printTable(contentsRows(contents), "  ");
  if (removed) printLine(`removed ${removed} older ${removed === 1 ? "backup" : "backups"}`);
  if (noted) printLine("noted in the store");
}

/** Gives whether the store notes the backup now. It is on disk, so the command only warns of what goes wrong here. */
async function noteBackup(config: Config, at: Date): Promise<boolean> {
  try {
    await noteDone(config, { work: "backup", at });
    return true;
  } catch (error) {
    warn(`the backup was made, and is not noted in the store: ${whyNot(error)}`);
    return false;
  }
}

function warn(text: string): void {
  printError(warning("warning", `: ${text}`));
}

function whyNot(error: unknown): string {
  if (error instanceof KmsError) return withAdvice(error);
  return error instanceof Failure ? error.message : "internal error";
}
