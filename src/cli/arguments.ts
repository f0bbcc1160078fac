/** Arguments to a command and its options. Options may stand before the command; what is unknown is refused with the nearest name. */
import { type ParseArgsOptionsConfig, parseArgs } from "node:util";
import { suggestion } from "../encoding/nearest.ts";
import { type Command, type OptionValues, UsageError } from "./command.ts";

export interface Invocation {
  command: Command;
  /** Whether the command was named, not taken by default. */
  named: boolean;
  options: OptionValues;
  operands: readonly string[];
}

const switches: ParseArgsOptionsConfig = {
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "V" },
};

/** The first of `commands` is the default. */
export function parseArguments(args: readonly string[], commands: readonly Command[]): Invocation {
  const { command, rest, named } = findCommand(args, commands);
  const options = optionsOf(command);
  refuseUnknown(rest, options, command);
  try {
    const { values, positionals } = parseArgs({ args: [...rest], options, allowPositionals: true, strict: true });
    return { command, named, options: values as OptionValues, operands: positionals };
  } catch (error) {
    throw new UsageError(wordsOf(error as Error));
  }
}

/** Node's first line, which says what is wrong but where a value may be the next option. */
function wordsOf({ message }: Error): string {
  const name = /^Option '(--[\w-]+)' argument is ambiguous/.exec(message)?.[1];
  if (name !== undefined) return `${name} needs a value; one that begins with a dash is ${name}=-…`;
  return message.split("\n")[0] ?? "arguments that cannot be read";
}

/** What must be there beside options, once help and version were not asked for. */
export function operandsOf({ command: { name, operand }, operands }: Invocation): string[] {
  const wanted = operand?.split(" ") ?? [];
  const needed = wanted.filter((word) => !word.startsWith("["));
  const most = operand?.endsWith("…") ? Number.POSITIVE_INFINITY : wanted.length;
  if (operands.length > most) throw new UsageError(`${name} does not take the argument ${operands[most]}`);
  if (operands.length < needed.length) throw new UsageError(`${name} needs ${wanted[operands.length]}`);
  return [...operands];
}

/** The first arguments that are a command's name, and not an option's value. */
function findCommand(args: readonly string[], commands: readonly Command[]) {
  const options = Object.assign({}, ...commands.map(optionsOf)) as ParseArgsOptionsConfig;
  const tokens = tokensOf(args, options);
  const words = tokens.filter((token) => token.kind === "positional");
  for (const start of words.keys()) {
    const found = commands.find(({ name }) => name.split(" ").every((part, i) => words[start + i]?.value === part));
    if (found === undefined) continue;
    const used = words.slice(start, start + found.name.split(" ").length).map(({ index }) => index);
    return { command: found, rest: args.filter((_, index) => !used.includes(index)), named: true };
  }
  const [word] = words;
  const unknown = tokens.find((token) => token.kind === "option" && !Object.hasOwn(options, token.name));
  // After an option that nobody knows, a word may be its value.
  if (word !== undefined && (unknown === undefined || word.index < unknown.index)) {
    throw unknownCommand(words[0]!.value, words[1]?.value, commands);
  }
  return { command: commands[0]!, rest: args, named: false };
}

/** `second` belongs to the name where commands of several words begin with `first`. */
function unknownCommand(first: string, second: string | undefined, commands: readonly Command[]): UsageError {
  const all = commands.map(({ name }) => name);
  const begun = all.filter((name) => name.startsWith(`${first} `));
  const names = begun.length > 0 ? begun : all;
  const word = begun.length > 0 && second !== undefined ? `${first} ${second}` : first;
  return new UsageError(`unknown command ${word}${suggestion(word, names) || `; use ${names.join(", ")}`}`);
}

function tokensOf(args: readonly string[], options: ParseArgsOptionsConfig) {
  return parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true }).tokens;
}

function optionsOf(command: Command): ParseArgsOptionsConfig {
  const own = command.options.map(({ name, value, repeatable = false }) => [
    name,
    { type: value === undefined ? "boolean" : "string", multiple: repeatable },
  ]);
  return { ...Object.fromEntries(own), ...switches };
}

function refuseUnknown(args: readonly string[], options: ParseArgsOptionsConfig, command: Command): void {
  for (const token of tokensOf(args, options)) {
    if (token.kind !== "option" || Object.hasOwn(options, token.name)) continue;
    const near = suggestion(
      token.rawName,
      Object.keys(options).map((name) => `--${name}`),
    );
    const meant = command.meant?.(token.name, token.value ?? args[token.index + 1]) ?? near;
    throw new UsageError(`${command.name} has no option ${token.rawName}${meant}`);
  }
}
