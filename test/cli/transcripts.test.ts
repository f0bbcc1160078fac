/**
 * Runs the pages of `transcripts/`: what is typed, and all that is printed. A page is written like a guide. Each of its sections runs by
 * itself, in an empty directory, after the commands that stand before the first heading.
 *
 * `fluo-kms` runs in this process, all else by `sh`. Shown is standard output, then standard error, then the exit code in brackets, unless it
 * is 0. Every character counts; `…` stands for any lines where it is alone in one, else for anything within its line.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Step, stepsOf } from "../../scripts/docs/blocks.ts";
import { matches } from "../../scripts/docs/expected.ts";
import { run } from "../support/cli-fixture.ts";
import { directory } from "../support/config-fixture.ts";

type Run = Extract<Step, { kind: "run" }>;

const folder = join(import.meta.dirname, "transcripts");

describe.each(readdirSync(folder))("%s", (page) => {
  const [before, ...sections] = sectionsOf(readFileSync(join(folder, page), "utf8"));

  it.each(sections)("$heading", async ({ steps }) => {
    const cwd = directory();
    for (const { command, expected, line } of [...before!.steps, ...steps]) {
      const printed = await type(command, cwd);
      if (!matches(expected!, printed)) expect(printed, `${page}:${line}: $ ${command}`).toBe(expected);
    }
  });
});

function sectionsOf(page: string): { heading: string; steps: Run[] }[] {
  const lines = page.split("\n");
  const starts = [0, ...lines.keys().filter((at) => lines[at]!.startsWith("## "))];
  const steps = stepsOf(page).map((step) => {
    if (step.kind !== "run") throw new Error(`line ${step.line}: a transcript has commands alone`);
    return step;
  });
  return starts.map((start, n) => ({
    heading: lines[start]!.replace(/^#+ /, ""),
    steps: steps.filter(({ line }) => line > start && line <= (starts[n + 1] ?? lines.length)),
  }));
}

async function type(command: string, cwd: string): Promise<string> {
  const own = /^(?<settings>(?:[A-Z_]+=\S+ )*)fluo-kms(?<args>.*)$/s.exec(command)?.groups;
  if (own === undefined) {
    const { status, stdout, stderr } = spawnSync("sh", ["-c", command], { cwd, encoding: "utf8" });
    return shown(status, stdout + stderr);
  }
  const env = Object.fromEntries(words(own.settings!).map((each) => each.split(/=(.*)/s).slice(0, 2)));
  const { code, out, err } = await run(words(own.args!), { cwd, env });
  expect(err !== "" && code !== 0 ? out : "", `${command}: a failure prints on standard error alone`).toBe("");
  return shown(code, out + err)
    .replaceAll(`${cwd}/`, "")
    .replaceAll(cwd, ".");
}

/** Splits by the quotes of a shell: those of `'…'`, and spaces. */
function words(text: string): string[] {
  return [...text.matchAll(/(?:'[^']*'|\\'|[^\s'\\])+/g)].map(([word]) => word.replace(/'([^']*)'|\\(')/g, "$1$2"));
}

function shown(code: number | null, printed: string): string {
  const text = printed === "" || printed.endsWith("\n") ? printed : `${printed}\n`;
  return code === 0 ? text : `${text}[${code}]\n`;
}
