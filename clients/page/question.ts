/** The form in which the question is put: completeness, whose spans, trusted keys, and the part of the log. */
import type { Asked } from "../../src/verification-report/facts.ts";
import { byId } from "./elements.ts";

export interface QuestionForm {
  /** Throws with a sentence for a field that cannot be. */
  asked(hasCheckpoints: boolean): Asked;
  isLog(): boolean;
  /** Sets whether completeness is checked, unless somebody has decided. */
  suggestLog(log: boolean): void;
}

export function startQuestion(onChange: () => void): QuestionForm {
  const log = byId<HTMLInputElement>("log");
  let isDecided = false;
  const show = () => {
    byId<HTMLFieldSetElement>("log-options").disabled = !log.checked;
  };
  log.addEventListener("change", () => {
    isDecided = true;
    show();
  });
  byId("question").addEventListener("input", onChange);
  show();
  return {
    isLog: () => log.checked,
    suggestLog(suggested) {
      if (isDecided || log.checked === suggested) return;
      log.checked = suggested;
      show();
      onChange();
    },
    asked(hasCheckpoints) {
      const from = log.checked ? sizeIn("from", "The beginning") : undefined;
      const to = log.checked ? sizeIn("to", "The end") : undefined;
      if (from !== undefined && to !== undefined && from >= to) throw new Error("The beginning must be below the end.");
      return {
        log: log.checked,
        tenant: textIn("tenant"),
        vkeys: linesIn("vkeys"),
        from,
        to,
        anyOrder: log.checked && byId<HTMLInputElement>("any-order").checked,
        keptBy: log.checked && hasCheckpoints ? textIn("kept-by") : undefined,
      };
    },
  };
}

function textIn(id: string): string | undefined {
  return byId<HTMLInputElement>(id).value.trim() || undefined;
}

function linesIn(id: string): string[] {
  const lines = byId<HTMLTextAreaElement>(id).value.split("\n");
  return lines.map((line) => line.trim()).filter((line) => line !== "");
}

function sizeIn(id: string, name: string): number | undefined {
  const text = textIn(id);
  if (text === undefined) return undefined;
  if (!/^(?:0|[1-9]\d{0,15})$/.test(text) || !Number.isSafeInteger(Number(text)))
    throw new Error(`${name} is a number of entries, such as 0 or 1500.`);
  return Number(text);
}
