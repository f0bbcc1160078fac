/** What is wrong with a configuration: every problem at once, so that it is put right in one go. */
import { KmsError } from "../errors.ts";

export interface Problem {
  /** The setting, and where its value came from; or the file. */
  name: string;
  /** What is wrong and what to do. Never the value of a setting that may be secret. */
  description: string;
}

/** Whether something is wrong already with what a setting was given, so that it is not missing. */
export function isWrong(problems: readonly Problem[], setting: string): boolean {
  return problems.some(({ name }) => name.replace(/^%[^.]*\./, "").startsWith(`${setting} (`));
}

/** INVALID_ARGUMENT with all the problems: `violations` holds 16 at most, `problems` every one. */
export class ConfigError extends KmsError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super("INVALID_ARGUMENT", problems.map(problemLine).join("\n"), {
      violations: problems.map(({ name, description }) => ({ field: name, description })),
    });
    this.name = "ConfigError";
    this.problems = problems;
  }
}

export function problemLine({ name, description }: Problem): string {
  return `${name}: ${description}`;
}
