/** Help, written from the commands. A terminal has it no wider than it is, and its headings bold. */
import type { Command, Option } from "./command.ts";
import { heading, type Styled } from "./styled.ts";

type Lines = (string | Styled)[];

interface Shown extends Option {
  /** The same as one letter. */
  short?: string;
}

const always: readonly Shown[] = [
  { name: "help", short: "h", description: "print this help" },
  { name: "version", short: "V", description: "print the version" },
];
const exitCodes = "Exit codes: 0 ok, 1 failed, 2 wrong usage or configuration.";

/** `columns` are those of the terminal; undefined where there is none, and lines are as long as they are. */
export function globalHelp(commands: readonly Command[], columns: number | undefined): Lines {
  const names = commands.map(({ name, summary }, i) => [name, i === 0 ? `${summary} (the default)` : summary] as const);
  return [
    "fluo-kms, the key service of FLUO",
    "",
    heading("Usage:", " fluo-kms [COMMAND] [OPTIONS]"),
    "",
    heading("Commands:"),
    ...inColumns(names, columns),
    "",
    heading("Options:"),
    ...inColumns(always.map(described), columns),
    "",
    ...paragraphs(["fluo-kms COMMAND --help lists the options of a command.", "", exitCodes], columns).filter(
      (line) => line !== "",
    ),
  ];
}

export function commandHelp(command: Command, columns: number | undefined): Lines {
  const { name, summary, options, operand, details } = command;
  return [
    ...paragraphs([summary], columns),
    "",
    heading("Usage:", ` fluo-kms ${name} [OPTIONS]${operand === undefined ? "" : ` ${operand}`}`),
    "",
    heading("Options:"),
    ...inColumns([...options, ...always].map(described), columns),
    "",
    ...paragraphs(details, columns),
    exitCodes,
  ];
}

function described({ name, short, value, description }: Shown): readonly [string, string] {
  const names = short === undefined ? `--${name}` : `-${short}, --${name}`;
  return [value === undefined ? names : `${names} ${value}`, description];
}

/** On a terminal, what would leave the right column too narrow stands on a line of its own. */
function inColumns(rows: readonly (readonly [string, string])[], columns: number | undefined): string[] {
  const widest = Math.max(...rows.map(([left]) => left.length));
  const width = columns === undefined ? widest : Math.min(widest, Math.floor(columns / 3));
  const indent = " ".repeat(width + 4);
  return rows.flatMap(([left, right]) => {
    if (columns === undefined) return [`  ${left.padEnd(width)}  ${right}`];
    const [first = "", ...others] = wrapped(right, columns - indent.length);
    const rest = others.map((line) => indent + line);
    if (left.length > width) return [`  ${left}`, indent + first, ...rest];
    return [`  ${left.padEnd(width)}  ${first}`, ...rest];
  });
}

/** Lines that follow each other are one paragraph, unless they begin with a space. */
function paragraphs(lines: readonly string[], columns: number | undefined): string[] {
  if (columns === undefined) return [...lines];
  const texts: string[] = [];
  for (const line of lines) {
    const last = texts.at(-1);
    if (last === undefined || [last, line].some((text) => text === "" || text.startsWith(" "))) texts.push(line);
    else texts[texts.length - 1] = `${last} ${line}`;
  }
  return texts.flatMap((text) => (text === "" || text.startsWith(" ") ? [text] : wrapped(text, columns)));
}

/** Breaks a text at its spaces. A word that is wider has a line of its own. */
function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
