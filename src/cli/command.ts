/** What a command is: its options as data, from which arguments are parsed and help is written, and a function that gives an exit code. */

export const exitCode = { ok: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

export interface Option {
  /** Without dashes. */
  name: string;
  /** What stands for its value in help; without it the option is a switch. */
  value?: string;
  /** May be given again and again. */
  repeatable?: true;
  description: string;
}

/** Of each option its value, or true for a switch, or all the values of a repeatable one; absent where it was not given. */
export type OptionValues = Readonly<Record<string, string | boolean | readonly string[] | undefined>>;

export interface Command {
  /** A word, or several with a space between. */
  name: string;
  /** One sentence for help. */
  summary: string;
  options: readonly Option[];
  /** The arguments beside options, as help calls them: words, which must be given; `[FILE]` may be, and "…" is for one or several. */
  operand?: string;
  /** More for the command's own help. */
  details: readonly string[];
  /** What follows the refusal of an option that is none, if more is known than the nearest name. `value` may be what stands behind it. */
  meant?(option: string, value: string | undefined): string | undefined;
  /** Throws UsageError, or Failure. */
  run(options: OptionValues, ...operands: string[]): Promise<ExitCode>;
}

/** The command line is wrong: exit 2. */
export class UsageError extends Error {}

/** What was asked for did not work: exit 1. `json` is what --json prints of it. */
export class Failure extends Error {
  readonly json: unknown;

  constructor(message: string, json: unknown = { code: "FAILED", message, fields: [] }) {
    super(message);
    this.json = json;
  }
}

export function textOf(options: OptionValues, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

export function textsOf(options: OptionValues, name: string): readonly string[] {
  const values = options[name];
  return Array.isArray(values) ? values : [];
}

export const jsonOption: Option = { name: "json", description: "print JSON" };
