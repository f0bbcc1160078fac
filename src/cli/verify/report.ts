/** The report of `verify --report`: what was asked for, and the file. */
import { realTime } from "../../runtime/time.ts";
import { isReportDate, reportDateForm, reportDateOf } from "../../verification-report/date.ts";
import type { Facts } from "../../verification-report/facts.ts";
import { repeatCommand } from "../../verification-report/repeat-command.ts";
import { reportHtml } from "../../verification-report/html.ts";
import { type OptionValues, textOf, UsageError } from "../command.ts";
import { refuseExisting, refuseUnwritable, writeNewFile } from "../new-file.ts";

export interface ReportOptions {
  file: string;
  date: string;
  keptBy: string | undefined;
}

/** Undefined where no report was asked for. Refuses what could not be written, before any work. */
export function reportOptions(options: OptionValues): ReportOptions | undefined {
  const file = textOf(options, "report");
  if (file === undefined) {
    const only = ["date", "kept-by"].find((name) => options[name] !== undefined);
    if (only !== undefined) throw new UsageError(`--${only} is for --report`);
    return undefined;
  }
  const date = textOf(options, "date") ?? reportDateOf(realTime.now());
  if (!isReportDate(date)) throw new UsageError(`--date is ${reportDateForm}`);
  const keptBy = textOf(options, "kept-by");
  if (keptBy !== undefined && options.checkpoint === undefined) throw new UsageError("--kept-by is for --checkpoint");
  refuseExisting(file);
  refuseUnwritable(file);
  return { file, date, keptBy };
}

export function writeReport({ file, date }: ReportOptions, facts: Facts, madeBy: string): void {
  writeNewFile(file, [reportHtml(facts, { madeBy, date, command: repeatCommand(facts, date) })]);
}
