/** What the runner of the guides takes from a page: what it must run, what it need not, and what it must not pass over. */
import { expect, it } from "vitest";
import { stepsOf } from "../../scripts/docs/blocks.ts";

it("finds each command of a console block with what it prints, and its line", () => {
  const page = "# Title\n\n```console\n$ one \\\n  more\n$ two <<'END'\n$ not a command\nEND\nfirst\nsecond\n```\n";
  expect(stepsOf(page)).toEqual([
    { kind: "run", line: 4, command: "one \\\n  more", expected: "", withinMs: 0 },
    { kind: "run", line: 6, command: "two <<'END'\n$ not a command\nEND", expected: "first\nsecond\n", withinMs: 0 },
  ]);
});

it("takes a text block behind a script as what it prints, and one elsewhere as a picture", () => {
  const page = "```text\npicture\n```\n\n```sh\nrun\n```\n\nprints\n\n```text\nout\n```\n";
  expect(stepsOf(page)).toEqual([{ kind: "run", line: 6, command: "run\n", expected: "out\n", withinMs: 0 }]);
});

it("knows what keeps running, until when, what ends it, and what takes its time", () => {
  const page = [
    "<!-- keeps running: service, until: it serves -->\n\n```sh\nserve\n```\n",
    "<!-- within: 30s -->\n\n```console\n$ look\nup\n```\n",
    "<!-- end: service -->\n",
  ].join("\n");
  expect(stepsOf(page)).toEqual([
    { kind: "start", line: 4, command: "serve\n", expected: undefined, name: "service", until: "it serves" },
    { kind: "run", line: 10, command: "look", expected: "up\n", withinMs: 30_000 },
    { kind: "end", line: 14, name: "service" },
  ]);
});

it("gives the program that writes a log the time to do it", () => {
  const page =
    "```console\n$ call\nno\n$ grep -o 'refused.*' refused/service.log | tail -1\nrefused\n$ grep a file.txt\n```\n";
  expect(stepsOf(page)).toMatchObject([{ withinMs: 0 }, { withinMs: 20_000 }, { withinMs: 0 }]);
});

it("takes the scripts that readers do not see", () => {
  const page = [
    "<!-- for these examples, run:\nmake it\nwrong\n-->\n",
    "<!-- for these examples, keep running: service, until: it serves\nserve\n-->\n",
    "```console\n$ look\nwrong\n```\n",
  ].join("\n");
  expect(stepsOf(page)).toEqual([
    { kind: "run", line: 2, command: "make it\nwrong\n", expected: undefined, withinMs: 0 },
    { kind: "start", line: 7, command: "serve\n", expected: undefined, name: "service", until: "it serves" },
    { kind: "run", line: 11, command: "look", expected: "wrong\n", withinMs: 0 },
  ]);
});

it("skips queries", () => {
  expect(stepsOf("```promql\nup == 0\n```\n")).toEqual([{ kind: "skip", line: 2, why: "a query for Prometheus" }]);
});

it("skips what says why, reads settings and documents, and lets nothing else pass", () => {
  const page = [
    "<!-- not run: needs a cloud -->\n\n```sh\ngcloud\n```\n",
    "```properties\na=b\n```\n",
    "```json\n{}\n```\n",
    "```yaml\na: b\n```\n",
    "```\nno language\n```\n",
    "<!-- not ran: mistyped -->\n\n```sh\nrun\n```\n",
    "```console\nno command\n```\n",
  ].join("\n");
  expect(stepsOf(page).map(({ kind }) => kind)).toEqual([
    "skip",
    "read",
    "read",
    "unknown",
    "unknown",
    "unknown",
    "unknown",
  ]);
});
