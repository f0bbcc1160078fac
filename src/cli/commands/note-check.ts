/**
 * `note-check`: notes in the store that a check found nothing, by the report that `check` printed. A drill checks a
 * restored copy, often on another machine and under other settings, so `check` cannot do it.
 */
import { readJson } from "../../encoding/json.ts";
import { UsageError, type Command, exitCode, Failure, jsonOption } from "../command.ts";
import { configOption } from "../configuration.ts";
import { membersAt, readFile, textAt } from "../files.ts";
import { isToCome, noteDone } from "../note-done.ts";
import { withStore } from "../open-store.ts";
import { printJson, printLine } from "../print.ts";

interface CleanReport {
  storeId: string;
  checkedAt: Date;
}

export const noteCheck: Command = {
  name: "note-check",
  summary: "Notes in the store that a check of it, or of a restored copy, found nothing.",
  options: [configOption, jsonOption],
  operand: "REPORT",
  details: [
    "Opens the store that the settings name, while the service may be running, and writes one row. REPORT is a file with the JSON that check",
    "printed: that of this store, or of one that a backup of it was restored to. One that found a problem is refused. A later one stays.",
  ],
  run(options, file) {
    const { storeId, checkedAt } = readReport(file!);
    return withStore(options, async (config) => {
      const notedAt = await noteDone(config, { work: "check", at: checkedAt, storeId });
      if (options.json === true) printJson({ noted_at: notedAt.toISOString() });
      else if (notedAt > checkedAt) printLine(`a later check was noted before, of ${notedAt.toISOString()}`);
      else printLine(`noted: the check of ${notedAt.toISOString()}`);
      return exitCode.ok;
    });
  },
};

/** Throws UsageError for a file that holds no report, and a Failure for a report that is not to be noted. */
function readReport(file: string): CleanReport {
  const text = readFile(file).toString("utf8");
  let report: Record<string, unknown>;
  let found: CleanReport;
  try {
    report = membersAt(readJson(text), "the report");
    found = { storeId: textAt(report.store_id, "store_id"), checkedAt: timeAt(report.checked_at, "checked_at") };
  } catch (error) {
    throw new UsageError(`${file} is not what fluo-kms check printed as JSON: ${(error as Error).message}`);
  }
  if (report.ok !== true) throw new Failure(`the check in ${file} found problems, so it is not noted`);
  if (isToCome(found.checkedAt)) {
    throw new Failure(
      `the check in ${file} is of ${found.checkedAt.toISOString()}, which is still to come: set the clocks`,
    );
  }
  return found;
}

function timeAt(value: unknown, at: string): Date {
  const time = new Date(textAt(value, at));
  if (Number.isNaN(time.getTime())) throw new Failure(`${at} must be a time`);
  return time;
}
