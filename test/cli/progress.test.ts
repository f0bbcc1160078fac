import { Writable } from "node:stream";
import { afterEach, describe, expect, it } from "vitest";
import { barLine, startProgress } from "../../src/cli/progress.ts";
import { printError } from "../../src/cli/print.ts";
import { manualTime } from "../../src/runtime/manual-time.ts";

describe("a bar", () => {
  const work = { text: "100 of 200 spans", done: 100, total: 200 };
  it.each([
    [80, "[###############...............]  50%  100 of 200 spans, 50/s, 2 s left"],
    [60, "[#########.........]  50%  100 of 200 spans, 50/s, 2 s left"],
    [45, "50%  100 of 200 spans, 50/s, 2 s left"],
    [35, "50%  100 of 200 spans, 2 s left"],
    [24, "50%  50/s, 2 s left"],
    [16, "50%  2 s left"],
    [6, "50%"],
  ])("has in %i columns what fits", (columns, line) => {
    const shown = barLine(work, { elapsedMs: 2_000, columns });
    expect(shown.trimStart()).toBe(line);
    expect(shown.length).toBeLessThan(columns);
  });

  it.each([2, 3, 5, 9])("is never wider than %i columns", (columns) => {
    expect(barLine(work, { elapsedMs: 1, columns }).length).toBeLessThan(columns);
    expect(barLine({ ...work, total: undefined }, { elapsedMs: 1, columns }).length).toBeLessThan(columns);
  });

  it.each([
    [1, 100, 1_000, /1\.0\/s, 2 min left$/],
    [1, 10_000, 1_000, /1\.0\/s, 2 h 47 min left$/],
    [100, 100, 1_000, /100%.*100\/s, finishing$/],
    [150, 100, 1_000, /100%.*150\/s, finishing$/],
    [999_999, 1_000_000, 1_000, / 99%.*999999\/s, 1 s left$/],
    [0, 100, 1_000, / {3}0% {2}done$/],
  ])("says of %i of %i after %i ms how long it takes", (done, total, elapsedMs, said) => {
    expect(barLine({ text: "done", done, total }, { elapsedMs, columns: 80 })).toMatch(said);
  });

  it("is a count and a rate where nobody knows how much there is", () => {
    const rows = { text: "4000 rows", done: 4_000, total: undefined };
    expect(barLine(rows, { elapsedMs: 2_000, columns: 80 })).toBe("4000 rows, 2000/s");
  });
});

const stderr = Object.getOwnPropertyDescriptor(process, "stderr")!;
const { error } = console;
afterEach(() => {
  Object.defineProperty(process, "stderr", stderr);
  console.error = error;
});

/** Standard error of this process, as a terminal of so many columns, or as a pipe. */
function errorOutput(columns?: number) {
  let written = "";
  const stream = new Writable({
    write(chunk, _, done) {
      written += chunk;
      done();
    },
  });
  const terminal = Object.assign(stream, columns === undefined ? {} : { isTTY: true, columns });
  Object.defineProperty(process, "stderr", { value: terminal, configurable: true });
  console.error = (text: string) => terminal.write(`${text}\n`);
  return {
    terminal: terminal as Writable & { columns?: number },
    /** What was written since it was asked last. */
    written() {
      const text = written;
      written = "";
      return text;
    },
  };
}

describe("the progress of a command", () => {
  it("is seen on a terminal after a second, and leaves nothing", async () => {
    const [{ written }, time] = [errorOutput(80), manualTime()];
    const progress = startProgress({ time });
    await time.advance(999);
    progress.show("999 rows", 999, 2_000);
    expect(written()).toBe("");
    await time.advance(1);
    progress.show("1000 rows", 1_000, 2_000);
    expect(written()).toMatch(/^\[#+\.+\] {2}50% {2}1000 rows, 1000\/s, 1 s left$/);
    await time.advance(199);
    progress.show("1199 rows", 1_199, 2_000);
    expect(written()).toBe("");
    await time.advance(1);
    progress.show("1200 rows", 1_200, 2_000);
    expect(written()).toContain("\r\u001b[J[##");
    progress.end();
    expect(written()).toBe("\r\u001b[J");
    progress.end();
    expect(written()).toBe("");
  });

  it("counts the rate of each work from its beginning", async () => {
    const [{ written }, time] = [errorOutput(80), manualTime()];
    const progress = startProgress({ time });
    await time.advance(10_000);
    progress.next();
    await time.advance(1_000);
    progress.show("50 keys", 50, 100);
    expect(written()).toContain("50/s, 1 s left");
    progress.end();
  });

  it("makes way for a line, and follows the width of the terminal", async () => {
    const [{ written, terminal }, time] = [errorOutput(80), manualTime()];
    const progress = startProgress({ time });
    const step = async (done: number) => {
      await time.advance(1_000);
      progress.show(`${done} rows`, done, 100);
    };
    await step(10);
    const { length } = written();
    terminal.columns = 30;
    await step(20);
    // The terminal has broken the line of before into rows.
    expect(written()).toMatch(new RegExp(`^\\u001b\\[${Math.floor((length - 1) / 30)}A\\r\\u001b\\[J.{1,29}$`));
    printError("a line");
    expect(written()).toBe("\r\u001b[Ja line\n");
    progress.end();
    expect(written()).toBe("");
  });

  it("hears Ctrl-C while there is a bar alone", async () => {
    const [, time, before] = [errorOutput(80), manualTime(), process.listenerCount("SIGINT")];
    const progress = startProgress({ time });
    expect(process.listenerCount("SIGINT")).toBe(before);
    for (let done = 1; done < 4; done += 1) {
      await time.advance(1_000);
      progress.show(`${done}`, done, 9);
    }
    expect(process.listenerCount("SIGINT")).toBe(before + 1);
    progress.end();
    expect(process.listenerCount("SIGINT")).toBe(before);
  });

  it("is nothing in a pipe, or lines where they are asked for", async () => {
    const [{ written }, time] = [errorOutput(), manualTime()];
    const [silent, telling] = [startProgress({ time }), startProgress({ time, linesEveryMs: 5_000 })];
    expect([silent.isSeen, telling.isSeen]).toEqual([false, false]);
    for (let done = 1; done <= 6; done += 1) {
      await time.advance(1_000);
      silent.show(`${done} rows`, done, 6);
      telling.show(`${done} of 6 spans`, done, 6);
    }
    silent.end();
    telling.end();
    expect(written()).toBe("5 of 6 spans\n");
  });
});
