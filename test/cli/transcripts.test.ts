/**
 * Runs the pages of `transcripts/`: what is typed, and all that is printed. A page is written like a guide. Each of its sections runs by
 * itself, in an empty directory, after the commands that stand before the first heading.
 *
 * `fluo-kms` runs in this process, all else by `sh`. Shown is standard output, then standard error, then the exit code in brackets, unless
 * it is 0. Every character counts; `…` stands for any lines where it is alone in one, else for anything within its line.
 *
 * A page may write a file `answers`, with what a service says: a line with a status, then the body, in turn, the last again and again. The
 * service notes what it was asked in a file `asked`. `used-store` makes a SQLite store, kms.db, with keys in every state, under master.key.
 */
import { spawnSync } from "node:child_process";
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { type Step, stepsOf } from "../../scripts/docs/blocks.ts";
import { matches } from "../../scripts/docs/expected.ts";
import { answeringBy, run } from "../support/cli-fixture.ts";
import { liveIn, place } from "../support/cli-store-fixture.ts";
import { directory } from "../support/config-fixture.ts";

type Run = Extract<Step, { kind: "run" }>;

const folder = join(import.meta.dirname, "transcripts");

describe.each(readdirSync(folder))("%s", (page) => {
  const [before, ...sections] = sectionsOf(readFileSync(join(folder, page), "utf8"));

  it.each(sections)("$heading", async ({ steps }) => {
    const cwd = directory();
    const address = await serviceIn(cwd);
    for (const { command, expected, line } of [...before!.steps, ...steps]) {
      const printed = await type(command, cwd, address);
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

/** Returns the address of a service that a page answers for. */
async function serviceIn(cwd: string): Promise<string> {
  const [answers, asked] = [join(cwd, "answers"), join(cwd, "asked")];
  const { address } = await answeringBy(async (request) => {
    const line = `${request.method} ${request.url} ${await text(request)}`;
    appendFileSync(asked, `${line.trimEnd()}\n`);
    const number = readFileSync(asked, "utf8").split("\n").length - 2;
    const [, ...said] = readFileSync(answers, "utf8").split(/^(\d{3})\n/m);
    const [status, body] = said.slice(Math.min(2 * number, said.length - 2));
    return [Number(status), body!];
  });
  return address;
}

async function type(command: string, cwd: string, address: string): Promise<string> {
  if (command.trim() === "used-store") {
    await liveIn(place(cwd, { name: "sqlite", file: join(cwd, "kms.db") }));
    return "";
  }
  const own = /^(?<settings>(?:[A-Z_]+=\S+ )*)fluo-kms(?<args>.*)$/s.exec(command)?.groups;
  if (own === undefined) {
    const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` };
    const { status, stdout, stderr } = spawnSync("sh", ["-c", command], { cwd, env, encoding: "utf8" });
    return shown(status, stdout + stderr);
  }
  const settings = Object.fromEntries(words(own.settings!).map((each) => each.split(/=(.*)/s).slice(0, 2)));
  const env = { FLUO_KMS_ADDR: `${address}/`, ...settings };
  const { code, out, err } = await run(words(own.args!), { cwd, env });
  // A page does not tell the outputs apart: what failed is said on standard error, and nothing else is.
  const isComplaint = (line: string) => /^fluo-kms(: | --help)/.test(line);
  expect(out.split("\n").filter(isComplaint), `${command}: on standard output`).toEqual([]);
  const others = err.split("\n").filter((line) => line !== "" && !isComplaint(line));
  if (code !== 0) expect(others, `${command}: on standard error`).toEqual([]);
  return shown(code, out + err)
    .replaceAll(address, "http://127.0.0.1:…")
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
