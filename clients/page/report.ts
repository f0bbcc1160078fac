/** Saves and prints the report, which the worker writes. */
import { isReportDate, reportDateForm, reportDateOf } from "../../src/verification-report/date.ts";
import { byId, element } from "./elements.ts";
import type { TrustedText } from "./trusted-types.ts";
import type { VerifierWorker } from "./verifier-worker.ts";
import { pageVersion } from "./version.ts";

/** `onTrouble` is given a sentence if there is no report. */
export function startReport(trusted: TrustedText, worker: () => VerifierWorker, onTrouble: (sentence: string) => void) {
  const date = byId<HTMLInputElement>("report-date");
  let savedUrl: string | undefined;

  async function html(): Promise<string> {
    const origin = { madeBy: `fluo-verify.html ${pageVersion}`, date: date.value.trim() };
    if (!isReportDate(origin.date)) throw new Error(`The date of the report must be ${reportDateForm}.`);
    return (await worker().ask("report", origin)).html;
  }

  async function save(): Promise<void> {
    const blob = new Blob([await html()], { type: "text/html;charset=utf-8" });
    if (savedUrl !== undefined) URL.revokeObjectURL(savedUrl);
    savedUrl = URL.createObjectURL(blob);
    element("a", { href: savedUrl, download: "report.html" }).click();
  }

  /** The very document that is saved. Its frame runs no script, and may open the dialogue of the printer. */
  async function print(): Promise<void> {
    byId("report-frame").replaceChildren();
    const frame = element("iframe", { sandbox: "allow-same-origin allow-modals", title: "The report, to be printed" });
    frame.srcdoc = trusted.html(await html());
    frame.addEventListener("load", () => frame.contentWindow?.print());
    byId("report-frame").append(frame);
  }

  const press = (id: string, act: () => Promise<void>) =>
    byId(id).addEventListener("click", () => act().catch((error: Error) => onTrouble(error.message)));
  press("save-report", save);
  press("print-report", print);
  return {
    /** Sets the date to now, unless somebody wrote one. */
    begin(now: Date): void {
      if (date.value === date.defaultValue) {
        date.defaultValue = reportDateOf(now);
        date.value = date.defaultValue;
      }
    },
  };
}
