/** Runs the command line in this process, for commands that print by console alone: many cases cost no process each. */
import { vi } from "vitest";
import { runCommandLine } from "../../src/cli/run.ts";
import type { Result } from "./cli-fixture.ts";

export async function runHere(...args: string[]): Promise<Result> {
  const [out, err]: [string[], string[]] = [[], []];
  const log = vi.spyOn(console, "log").mockImplementation((line = "") => void out.push(`${line}\n`));
  const error = vi.spyOn(console, "error").mockImplementation((line = "") => void err.push(`${line}\n`));
  try {
    return { code: await runCommandLine(args), out: out.join(""), err: err.join("") };
  } finally {
    log.mockRestore();
    error.mockRestore();
  }
}
