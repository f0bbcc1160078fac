/**
 * The fenced blocks of a guide, and what is to be done with each.
 *
 * - `console`: commands, each a line that begins with `$ ` (with its continuation lines and here-documents), then what it prints.
 * - `sh`: one script; a `text` block that comes next shows what it prints.
 * - `properties` and `json`: settings and documents, which are read.
 * - `promql`: a query, which needs a Prometheus.
 * - others are for the reader alone, and say why, as do those that cannot be run here.
 *
 * What the page must not show stands in a comment before the block: `<!-- not run: why -->`, `<!-- keeps running: name, until: words -->`,
 * `<!-- within: 30s -->` for what takes its time to print that. `<!-- end: name -->` ends what keeps running. A `grep` in a log needs no
 * mark: it is tried again for a while, because a service may answer before it writes its log.
 *
 * A comment of several lines holds a script that readers do not need, as they have a service with the trouble of the page:
 * `<!-- for these examples, run:` or `<!-- for these examples, keep running: name, until: words`, the script, and `-->` alone in a line.
 */

export type Step = { line: number } & (
  | { kind: "run"; command: string; expected: string | undefined; withinMs: number }
  | { kind: "start"; name: string; command: string; until: string; expected: string | undefined }
  | { kind: "end"; name: string }
  | { kind: "read"; language: "properties" | "json"; text: string }
  | { kind: "skip"; why: string }
  | { kind: "unknown"; what: string }
);

const greppingLog = /^grep .*\.log\b/;
const logIsWrittenWithinMs = 20_000;

/** What stands in a page for the runner alone. */
type Mark = Extract<Step, { kind: "run" | "start" | "end" }>;

interface Block {
  /** Of its first line of text. */
  line: number;
  language: string;
  text: string;
  /** What the comment before it says. */
  mark: string;
}

/** In the order of the page. */
export function stepsOf(page: string): Step[] {
  const pieces = piecesOf(page);
  return pieces.flatMap((piece, at): Step[] => {
    if (!("language" in piece)) return [piece];
    const next = pieces[at + 1];
    const output = next !== undefined && "language" in next && next.language === "text" ? next.text : undefined;
    return stepsIn(piece, output);
  });
}

const piecePattern = new RegExp(
  [
    /^<!-- end: (?<ends>[\w-]+) -->$/,
    /^<!-- for these examples, (?:run|keep running: (?<starts>[\w-]+), until: (?<until>.+?)):?\n(?<script>[\s\S]*?)^-->$/,
    /^(?:<!-- (?<mark>.+) -->\n+)?^```(?<language>\w*)\n(?<text>[\s\S]*?)^```$/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "gm",
);

function piecesOf(page: string): (Block | Mark)[] {
  return [...page.matchAll(piecePattern)].map((found): Block | Mark => {
    const { ends, starts, until, script, mark = "", language = "", text = "" } = found.groups!;
    const line = page.slice(0, found.index).split("\n").length;
    if (ends !== undefined) return { kind: "end", line, name: ends };
    if (script === undefined) {
      const [whole] = found;
      return { line: line + whole.slice(0, whole.indexOf("```")).split("\n").length, language, text, mark };
    }
    const hidden = { line: line + 1, command: script, expected: undefined };
    if (starts === undefined) return { kind: "run", ...hidden, withinMs: 0 };
    return { kind: "start", ...hidden, name: starts, until: until! };
  });
}

function stepsIn({ line, language, text, mark }: Block, output: string | undefined): Step[] {
  const [, why] = /^not run: (.+)$/.exec(mark) ?? [];
  if (why !== undefined) return [{ kind: "skip", line, why }];
  if (language === "properties" || language === "json") return [{ kind: "read", line, language, text }];
  if (language === "text") return [];
  if (language === "promql") return [{ kind: "skip", line, why: "a query for Prometheus" }];
  if (language !== "sh" && language !== "console") {
    return [
      { kind: "unknown", line, what: `a block of ${language || "no language"} that does not say why it is not run` },
    ];
  }
  const [, name, until] = /^keeps running: ([\w-]+), until: (.+)$/.exec(mark) ?? [];
  const [, seconds = "0"] = /^within: (\d+)s$/.exec(mark) ?? [];
  if (mark !== "" && name === undefined && seconds === "0")
    return [{ kind: "unknown", line, what: `the comment "${mark}"` }];
  const commands = language === "sh" ? [{ line, command: text, expected: output }] : commandsIn(text, line);
  const last = commands.pop();
  if (last === undefined) return [{ kind: "unknown", line, what: "a console block without a command" }];
  const run = (one: typeof last): Step => {
    const withinMs = Math.max(Number(seconds) * 1_000, greppingLog.test(one.command) ? logIsWrittenWithinMs : 0);
    return { kind: "run", ...one, withinMs };
  };
  if (name === undefined || until === undefined) return [...commands, last].map(run);
  return [...commands.map(run), { kind: "start", ...last, name, until }];
}

interface Command {
  line: number;
  command: string;
  expected: string | undefined;
}

/** What stands under a command is what it prints: nothing, where there is nothing. */
function commandsIn(text: string, firstLine: number): Command[] {
  const commands: Command[] = [];
  let rest: string | undefined;
  for (const [at, each] of text.trimEnd().split("\n").entries()) {
    const current = commands.at(-1);
    if (current !== undefined && rest !== undefined) {
      current.command += `\n${each}`;
      if (rest === "\\" ? !each.endsWith("\\") : each === rest) rest = undefined;
    } else if (each.startsWith("$ ")) {
      commands.push({ line: firstLine + at, command: each.slice(2), expected: "" });
      rest = each.endsWith("\\") ? "\\" : /<<'?([A-Z]+)'?/.exec(each)?.[1];
    } else if (current !== undefined) current.expected += `${each}\n`;
  }
  return commands;
}
