/** Help, written from the commands. */
import type { Command, Option } from "./command.ts";

const always: readonly Option[] = [
  { name: "help", description: "print this help" },
  { name: "version", description: "print the version" },
];
const exitCodes = "Exit codes: 0 ok, 1 failed, 2 wrong usage or configuration.";

export function globalHelp(commands: readonly Command[]): string {
  const names = commands.map(({ name, summary }, i) => [name, i === 0 ? `${summary} (the default)` : summary] as const);
  return [
    "fluo-kms, the key service of FLUO",
    "",
    "Usage: fluo-kms [COMMAND] [OPTIONS]",
    "",
    "Commands:",
    ...columns(names),
    "",
    "Options:",
    ...columns(always.map(described)),
    "",
    "fluo-kms COMMAND --help lists the options of a command.",
    exitCodes,
  ].join("\n");
}

export function commandHelp(command: Command): string {
  const { name, summary, options, operand, details } = command;
  return [
    summary,
    "",
    `Usage: fluo-kms ${name} [OPTIONS]${operand === undefined ? "" : ` ${operand}`}`,
    "",
    "Options:",
    ...columns([...options, ...always].map(described)),
    "",
    ...details,
    exitCodes,
  ].join("\n");
}

function described({ name, value, description }: Option): readonly [string, string] {
  return [value === undefined ? `--${name}` : `--${name} ${value}`, description];
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
