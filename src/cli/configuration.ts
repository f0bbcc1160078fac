/** The configuration of a command that does not ask a running service. */
import { ConfigError, problemLine } from "../config/problem.ts";
import type { Config } from "../config/config.ts";
import { type ConfigSources, loadConfig } from "../config/load.ts";
import { type Option, type OptionValues, textOf } from "./command.ts";
import { printError, printJson } from "./print.ts";

export const configOption: Option = {
  name: "config",
  value: "FILE",
  description: "settings, instead of ./application.properties",
};

/** Undefined where it has problems, which then are told: with --json as JSON, else a line each. */
export function configFrom(options: OptionValues, elsewhere?: ConfigSources["elsewhere"]): Config | undefined {
  try {
    return loadConfig({ file: textOf(options, "config"), ...(elsewhere && { elsewhere }) });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    if (options.json === true) {
      const fields = error.problems.map(({ name, description }) => ({ field: name, description }));
      printJson({ code: error.code, message: "the configuration has problems", fields });
    } else {
      for (const problem of error.problems) printError(problemLine(problem));
    }
    return undefined;
  }
}
