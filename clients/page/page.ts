/** The page: files in, the question, a verification in the worker, and its result. README.md says by which ids it is driven. */
import type { Facts } from "../../src/verification-report/facts.ts";
import { missingInBrowser } from "./browser-needs.ts";
import { byId, foreign } from "./elements.ts";
import { startExhibits } from "./exhibits.ts";
import { type Role, seemsOfLog } from "./file-role.ts";
import type { AskedFiles } from "./messages.ts";
import { startQuestion } from "./question.ts";
import { startReport } from "./report.ts";
import { showResult } from "./result.ts";
import { startSpanTable } from "./span-table.ts";
import { trustedText } from "./trusted-types.ts";
import { startVerifierWorker, type VerifierWorker } from "./verifier-worker.ts";
import { pageVersion } from "./version.ts";

/** `script` is the page's own, which the worker runs too. */
export function startPage(script: string): void {
  const trusted = trustedText();
  const workerUrl = trusted.scriptUrl(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  let worker: VerifierWorker | undefined;
  let pressed = 0;
  /** Changes of files and question so far; a verification knows of those before it. */
  let changes = 0;
  /** Files are sorted and searched before a verification begins. */
  let settled = Promise.resolve();
  const exhibits = startExhibits(filesChanged);
  const question = startQuestion(changed);
  const table = startSpanTable(showTrouble);
  const report = startReport(trusted, () => worker!, showTrouble);
  byId("version").textContent = pageVersion;

  function changed(): void {
    changes += 1;
    byId("stale").hidden = false;
  }

  async function filesChanged(): Promise<void> {
    changed();
    const spans = exhibits.spans();
    const ofLog =
      exhibits.checkpoints().length > 0 || (spans !== undefined && (await seemsOfLog(spans).catch(() => false)));
    question.suggestLog(ofLog);
  }

  /** Throws with a sentence about what is still to be given. */
  function askedFiles(): AskedFiles {
    const [spans, keys] = [exhibits.spans(), exhibits.keys()];
    if (spans === undefined) throw new Error("An export of spans is still to be given.");
    if (keys === undefined) throw new Error("The tenant's key set is still to be given.");
    const checkpoints = question.isLog() ? exhibits.checkpoints() : [];
    return { spans, keys, checkpoints, asked: question.asked(checkpoints.length > 0) };
  }

  async function verify(): Promise<void> {
    pressed += 1;
    const mine = pressed;
    showTrouble("");
    byId("result").hidden = true;
    let asking: VerifierWorker | undefined;
    try {
      await settled;
      if (mine !== pressed) return;
      const [files, known] = [askedFiles(), changes];
      showWorking(true);
      worker ??= startVerifierWorker(workerUrl, showProgress);
      asking = worker;
      const facts = await asking.ask("verify", files);
      await table.begin(asking);
      report.begin(new Date());
      showResult(facts, table);
      byId("stale").hidden = changes === known;
      showFinished(facts);
    } catch (error) {
      asking?.end();
      if (worker === asking) worker = undefined;
      showTrouble((error as Error).message);
    }
    showWorking(false);
  }

  function cancel(): void {
    worker?.end();
    worker = undefined;
    showWorking(false);
    byId("progress-text").textContent = "Cancelled.";
    byId("verify").focus();
  }

  byId("question").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("working").hidden) void verify();
  });
  byId("cancel").addEventListener("click", cancel);
  takeFiles((files, role) => {
    settled = settled.then(() => exhibits.add(files, role));
  });
  void refuseWithoutNeeds();
}

async function refuseWithoutNeeds(): Promise<void> {
  const missing = await missingInBrowser();
  if (missing === undefined) return;
  byId("unsupported").textContent = missing;
  byId<HTMLButtonElement>("verify").disabled = true;
}

/** Takes files from the labelled inputs, and from anywhere on the page. */
function takeFiles(take: (files: readonly File[], role?: Role) => void): void {
  for (const role of ["spans", "keys", "checkpoints"] as const) {
    const input = byId<HTMLInputElement>(`${role}-file`);
    input.addEventListener("change", () => {
      take([...(input.files ?? [])], role);
      // The same file may be chosen again after it was removed.
      input.value = "";
    });
  }
  const isOver = (over: boolean) => document.documentElement.classList.toggle("dragging", over);
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    isOver(true);
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => isOver(relatedTarget !== null));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    isOver(false);
    take([...(event.dataTransfer?.files ?? [])]);
  });
}

function showWorking(working: boolean): void {
  byId("working").hidden = !working;
  byId<HTMLButtonElement>("verify").disabled = working;
  if (!working) return;
  byId<HTMLProgressElement>("progress").removeAttribute("value");
  byId("progress-text").textContent = "Reading the files …";
  byId("cancel").focus();
}

/** The text changes every 10 %, as it is read aloud. */
function showProgress({ done, total }: { done: number; total: number }): void {
  byId<HTMLProgressElement>("progress").value = total > 0 ? done / total : 0;
  const text = `${Math.floor((10 * done) / Math.max(total, 1)) * 10} % of the spans are verified …`;
  if (byId("progress-text").textContent !== text) byId("progress-text").textContent = text;
}

/** A program that drives the page hears by the event that it is done, and has the facts. */
function showFinished(facts: Facts): void {
  byId("progress-text").textContent = "Done. The result is below.";
  byId("result").hidden = false;
  byId("result-heading").focus();
  byId("result").dispatchEvent(new CustomEvent("verified", { detail: facts }));
}

function showTrouble(sentence: string): void {
  const trouble = byId("trouble");
  trouble.replaceChildren(...(sentence === "" ? [] : [foreign(sentence)]));
  if (sentence !== "") {
    byId("progress-text").textContent = "";
    byId("result").dispatchEvent(new CustomEvent("trouble", { detail: sentence }));
  }
}
