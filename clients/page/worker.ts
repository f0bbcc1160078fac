/** The worker of the page: it holds the verification, and answers what the page asks of it. */
import { repeatCommand } from "../../src/verification-report/repeat-command.ts";
import { reportHtml } from "../../src/verification-report/html.ts";
import { cut } from "./shown-text.ts";
import {
  type AskedFiles,
  type Exchanges,
  type FromWorker,
  type Kind,
  type RowFilter,
  type RowPage,
  rowsAPage,
  type ToWorker,
} from "./messages.ts";
import { type Explanation, type NamedFile, type SpanRow, type Verification, verifyFiles } from "./verification.ts";

/** The part of a worker's global scope that is used; the page's types have none of it. */
interface WorkerScope {
  postMessage(message: FromWorker): void;
  onmessage: ((event: { data: ToWorker }) => void) | null;
}

const mostShown = 65_536;
const mostDetails = 500;

export function serveVerification(scope: WorkerScope): void {
  let verification: Verification | undefined;
  const answers: { [K in Kind]: (request: Exchanges[K]["request"]) => Promise<Exchanges[K]["response"]> } = {
    async verify(files) {
      verification = undefined;
      verification = await verified(files, (progress) => scope.postMessage({ progress }));
      return verification.facts;
    },
    rows: async (filter) => rowPage(finished().rows, filter),
    explain: async ({ position }) => shownExplanation(await finished().explain(position)),
    async report(origin) {
      const { facts } = finished();
      return { html: reportHtml(facts, { ...origin, command: repeatCommand(facts, origin.date) }) };
    },
  };
  const finished = (): Verification => {
    if (verification === undefined) throw new Error("nothing is verified yet");
    return verification;
  };
  scope.onmessage = async ({ data: { id, kind, request } }) => {
    try {
      scope.postMessage({ id, response: await answers[kind](request as never) });
    } catch (error) {
      scope.postMessage({ id, failure: sentenceOf(error) });
    }
  };
}

async function verified(
  { spans, keys, checkpoints, asked }: AskedFiles,
  onProgress: (progress: { done: number; total: number }) => void,
): Promise<Verification> {
  const question = {
    spans: await readFile(spans),
    keys: await readFile(keys),
    checkpoints: await Promise.all(checkpoints.map(readFile)),
    asked,
  };
  let said = -1;
  return verifyFiles(question, (done, total) => {
    const percent = total > 0 ? Math.floor((100 * done) / total) : 0;
    if (percent === said) return;
    said = percent;
    onProgress({ done, total });
  });
}

async function readFile(file: File): Promise<NamedFile> {
  try {
    return { name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) };
  } catch (error) {
    if (error instanceof RangeError) throw error;
    throw new Error(`${file.name} cannot be read: it was moved or changed since it was chosen. Choose it again.`);
  }
}

function rowPage(rows: readonly SpanRow[], { verdict, text, page }: RowFilter): RowPage {
  const part = text.toLowerCase();
  const has = (words: string | undefined) => words?.toLowerCase().includes(part) === true;
  const matching = rows.filter(
    (row) => (verdict === "" || row.verdict === verdict) && (part === "" || has(row.span) || has(row.name)),
  );
  const shown = Math.min(page, Math.max(0, Math.ceil(matching.length / rowsAPage) - 1));
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(row.verdict, (counts.get(row.verdict) ?? 0) + 1);
  return {
    rows: matching
      .slice(shown * rowsAPage, (shown + 1) * rowsAPage)
      .map((row) => ({ ...row, name: row.name && cut(row.name), message: cut(row.message) })),
    matching: matching.length,
    page: shown,
    verdicts: [...counts].sort().map(([each, spans]) => ({ verdict: each, spans })),
  };
}

/** What others wrote may be of any length, and there may be any number of it. */
function shownExplanation({ steps }: Explanation): Explanation {
  return {
    steps: steps.map((step) => ({
      ...step,
      sentence: cut(step.sentence, mostShown),
      details: [
        ...step.details.slice(0, mostDetails).map(({ label, text }) => ({
          label: cut(label),
          text: cut(text, mostShown),
        })),
        ...(step.details.length > mostDetails
          ? [{ label: "More", text: `${step.details.length - mostDetails} more are not shown.` }]
          : []),
      ],
    })),
  };
}

function sentenceOf(error: unknown): string {
  if (error instanceof RangeError)
    return "The files are too large for the memory of this browser. Verify them by the command fluo-kms verify.";
  return error instanceof Error && error.message !== "" ? error.message : `${error}`;
}
