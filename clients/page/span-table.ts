/** The table of spans, a page at a time, filtered by verdict and by text. Its rows stay in the worker. */
import { counted, digits, timeText } from "../../src/verification-report/wording.ts";
import { button, byId, code, element, foreign } from "./elements.ts";
import { evidenceOf } from "./evidence.ts";
import { type RowPage, rowsAPage } from "./messages.ts";
import type { SpanLinks } from "./result.ts";
import { cut } from "./shown-text.ts";
import type { VerifierWorker } from "./verifier-worker.ts";
import type { SpanRow } from "./verification.ts";

export interface SpanTable extends SpanLinks {
  /** Shows the spans of a new verification from the first on. */
  begin(worker: VerifierWorker): Promise<void>;
}

/** `onTrouble` is given a sentence if rows cannot be had. */
export function startSpanTable(onTrouble: (sentence: string) => void): SpanTable {
  const verdict = byId<HTMLSelectElement>("verdict-filter");
  const text = byId<HTMLInputElement>("text-filter");
  const [previous, next] = [byId<HTMLButtonElement>("previous-page"), byId<HTMLButtonElement>("next-page")];
  let worker: VerifierWorker | undefined;
  let page = 0;
  let asked = 0;

  async function show(): Promise<void> {
    asked += 1;
    const mine = asked;
    try {
      const found = await worker!.ask("rows", { verdict: verdict.value, text: text.value.trim(), page });
      // A later question may have been answered first.
      if (mine !== asked) return;
      page = found.page;
      showPage(found);
    } catch (error) {
      onTrouble((error as Error).message);
    }
  }

  function showPage({ rows, matching, page: number }: RowPage): void {
    const first = number * rowsAPage;
    byId("span-rows").replaceChildren(...rows.flatMap((row) => rowsOf(row, worker!)));
    byId("page-text").textContent =
      matching === 0
        ? "No span is like that."
        : `Spans ${digits(first + 1)} to ${digits(first + rows.length)} of ${digits(matching)}`;
    previous.disabled = number === 0;
    next.disabled = first + rows.length >= matching;
  }

  async function filterFor(wanted: { verdict?: string; text?: string }): Promise<void> {
    verdict.value = wanted.verdict ?? "";
    text.value = wanted.text ?? "";
    page = 0;
    await show();
    byId("spans-heading").scrollIntoView();
    byId("spans-heading").focus({ preventScroll: true });
  }

  for (const field of [verdict, text])
    field.addEventListener("input", () => {
      page = 0;
      void show();
    });
  const turn = (pages: number) => () => {
    page += pages;
    void show();
  };
  previous.addEventListener("click", turn(-1));
  next.addEventListener("click", turn(1));
  return {
    showSpan: (span) => void filterFor({ text: span }),
    showVerdict: (wanted) => void filterFor({ verdict: wanted }),
    async begin(verifier) {
      worker = verifier;
      text.value = "";
      page = 0;
      const { verdicts } = await verifier.ask("rows", { verdict: "", text: "", page });
      const options = verdicts.map(({ verdict: each, spans }) =>
        element("option", { value: each }, `${each} (${counted(spans, "span")})`),
      );
      verdict.replaceChildren(element("option", { value: "" }, "all verdicts"), ...options);
      await show();
    },
  };
}

/** The row of a span, and the one below it that has its evidence when it is opened. */
function rowsOf(row: SpanRow, worker: VerifierWorker): HTMLElement[] {
  const evidence = element("td", { colspan: "5" });
  const below = element("tr", { id: `evidence-${row.position}`, class: "evidence" }, evidence);
  below.hidden = true;
  const open = button("Evidence", () => void toggle(), {
    "aria-expanded": "false",
    "aria-controls": below.id,
    "aria-label": `Evidence of span ${row.position}`,
  });
  async function toggle(): Promise<void> {
    below.hidden = !below.hidden;
    open.setAttribute("aria-expanded", `${!below.hidden}`);
    if (below.hidden || evidence.hasChildNodes()) return;
    evidence.append(await evidenceOf(row.position, worker));
  }
  const { position, verdict, message, name, span, log, entry, signedAt } = row;
  const isGood = verdict === "OK";
  const place = entry === undefined ? "" : `entry ${entry}`;
  return [
    element(
      "tr",
      { "data-position": `${position}`, "data-verdict": verdict },
      element("td", { class: "number" }, digits(position)),
      element(
        "td",
        {},
        element("strong", { class: isGood ? "good" : "bad" }, `${isGood ? "✓" : "✗"} ${verdict}`),
        ...(message === "" ? [] : [element("div", { class: "message" }, foreign(message))]),
      ),
      element(
        "td",
        {},
        element("div", {}, name === undefined || name === "" ? "(no name)" : foreign(name)),
        ...(span === undefined ? [] : [code(span)]),
      ),
      element(
        "td",
        {},
        ...(signedAt === undefined ? [] : [element("div", {}, foreign(timeText(cut(signedAt))))]),
        ...(log === undefined ? [] : [element("div", {}, foreign(`${place} of ${cut(log)}`))]),
      ),
      element("td", {}, open),
    ),
    below,
  ];
}
