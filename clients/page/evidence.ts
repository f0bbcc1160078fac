/** The evidence of a span, step by step, each with what it was computed from. */
import { element, foreign, foreignLines } from "./elements.ts";
import type { VerifierWorker } from "./verifier-worker.ts";
import type { Step } from "./verification.ts";

export async function evidenceOf(position: number, worker: VerifierWorker): Promise<HTMLElement> {
  try {
    const { steps } = await worker.ask("explain", { position });
    return element("ol", { class: "steps" }, ...steps.map(stepItem));
  } catch (error) {
    return element("p", { role: "alert" }, foreign((error as Error).message));
  }
}

function stepItem({ title, holds, sentence, details }: Step): HTMLElement {
  const outcome = holds === undefined ? "" : holds ? " ✓ holds" : " ✗ does not hold";
  const outcomeClass = holds === undefined ? "" : holds ? "good" : "bad";
  const shownDetails = details.flatMap(({ label, text }) => [
    element("dt", {}, foreign(label)),
    element("dd", {}, element("code", {}, foreignLines(text))),
  ]);
  return element(
    "li",
    { "data-holds": holds === undefined ? undefined : `${holds}` },
    ...[element("strong", {}, foreign(title)), element("strong", { class: outcomeClass }, outcome)],
    element("p", {}, foreign(sentence)),
    ...(details.length === 0 ? [] : [element("dl", {}, ...shownDetails)]),
  );
}
