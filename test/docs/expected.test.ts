/** When a command printed what its guide shows, and when it did not. */
import { expect, it } from "vitest";
import { isShown } from "../../scripts/docs/expected.ts";

const same: [what: string, shown: string, printed: string][] = [
  ["the same", "a\nb\n", "a\nb\n"],
  ["other spaces between and behind", "a   b\n", "a b  \n"],
  ["another time", "at 2026-11-26T08:37:39.112Z", "at 2027-01-01T00:00:00.000Z"],
  ["another duration", "PASS (0.479ms), up 2.034 s", "PASS (12ms), up 17 s"],
  ["another id", "key 0c515bd136866e34", "key 7a38332f9b6e5277"],
  ["another number of milliseconds in JSON", '{"latency_ms":1}', '{"latency_ms":0.25}'],
  ["anything in a line", "backed up to …/b.db", "backed up to /var/b.db"],
  ["any lines, at the start, between and at the end", "…\na\n…\nb\n…", "x\na\ny\nz\nb\n"],
  ["no line where there may be any", "a\n…\nb", "a\nb"],
];
it.each(same)("takes %s", (_, shown, printed) => {
  expect(isShown(shown, printed)).toBe(true);
});

const other: [what: string, shown: string, printed: string][] = [
  ["another word", "overall PASS", "overall FAIL"],
  ["a line more", "a", "a\nb"],
  ["a line less", "a\nb", "a"],
  ["another count", "3 keys", "4 keys"],
  ["what would match as a pattern alone", "a.c", "abc"],
  ["a second line for one …", "a …", "a b\nc"],
  ["nothing", "a", ""],
];
it.each(other)("refuses %s", (_, shown, printed) => {
  expect(isShown(shown, printed)).toBe(false);
});
