/** How far a long command is: on a terminal a bar on standard error, with rate and time left, once the command takes a second. */
import { realTime } from "../runtime/time.ts";
import { eraseOver, errorColumns, printError, printOver } from "./print.ts";

export interface Progress {
  /** Whether anybody sees it: only then is it worth counting how much there is to do. */
  readonly isSeen: boolean;
  /** Begins other work, whose rate is its own. */
  next(): void;
  /** Tells how much is done: in words, and as a number, of `total` if that is known. */
  show(text: string, done: number, total?: number): void;
  /** Leaves nothing of the bar. */
  end(): void;
}

export interface ProgressOptions {
  /** Where standard error is no terminal, a line so often; without it none. */
  linesEveryMs?: number;
  time?: Pick<typeof realTime, "monotonicMs">;
}

const quietMs = 1_000;
const drawnEveryMs = 200;

export function startProgress({
  linesEveryMs = Number.POSITIVE_INFINITY,
  time = realTime,
}: ProgressOptions = {}): Progress {
  const isTerminal = errorColumns() !== undefined;
  const startedAt = time.monotonicMs();
  let begunAt = startedAt;
  let shownAt = startedAt - drawnEveryMs;
  return {
    isSeen: isTerminal,
    next() {
      begunAt = time.monotonicMs();
    },
    show(text, done, total) {
      const now = time.monotonicMs();
      if (now - shownAt < (isTerminal ? drawnEveryMs : linesEveryMs)) return;
      if (isTerminal && now - startedAt < quietMs) return;
      shownAt = now;
      const columns = errorColumns();
      if (columns === undefined) return printError(text);
      process.off("SIGINT", interrupted).once("SIGINT", interrupted);
      printOver(barLine({ text, done, total }, { elapsedMs: now - begunAt, columns }));
    },
    end() {
      if (!isTerminal) return;
      eraseOver();
      process.off("SIGINT", interrupted);
    },
  };
}

/** Ctrl-C ends the process as it would have, and leaves no bar. */
function interrupted(): void {
  eraseOver();
  process.kill(process.pid, "SIGINT");
}

export interface Work {
  text: string;
  done: number;
  total: number | undefined;
}

const [leastBar, mostBar] = [10, 30];

/** `[#####.....]  50%  100 of 200 spans, 34/s, 3 s left`, or as much of it as fits. */
export function barLine(
  { text, done, total }: Work,
  { elapsedMs, columns }: { elapsedMs: number; columns: number },
): string {
  const room = columns - 1; // a full row has some terminals begin another
  const perSecond = elapsedMs >= drawnEveryMs ? (done * 1_000) / elapsedMs : 0; // sooner it says nothing
  const rate = perSecond > 0 ? `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond)}/s` : "";
  const left = total === undefined || perSecond === 0 ? "" : leftText((total - done) / perSecond);
  const percent = total === undefined ? "" : `${percentOf(done, total)}%`.padStart(4);
  const after = (...parts: string[]) => parts.filter((part) => part !== "").join(", ");
  const tails = [after(text, rate, left), after(text, left), after(rate, left), left, ""];
  const lines = tails.map((tail) => [percent, tail].filter((part) => part !== "").join("  "));
  const line = lines.find((each) => each.length <= room && each !== "") ?? text.slice(0, room);
  const barColumns = Math.min(mostBar, room - line.length - 3);
  if (total === undefined || barColumns < leastBar) return line.trimStart();
  const full = Math.floor((barColumns * percentOf(done, total)) / 100);
  return `[${"#".repeat(full)}${".".repeat(barColumns - full)}] ${line}`;
}

/** At most 99 before the end, and at most 100 where more is done than there was when it was counted. */
function percentOf(done: number, total: number): number {
  return done >= total ? 100 : Math.floor((done * 100) / total);
}

function leftText(seconds: number): string {
  if (seconds <= 0) return "finishing";
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s left`;
  const minutes = Math.ceil(whole / 60);
  return minutes < 60 ? `${minutes} min left` : `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}
