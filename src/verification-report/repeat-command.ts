/**
 * The command by which anybody makes a report again, in a shell of POSIX, from files beside each other. Others named the files, so that no
 * shell into which somebody may paste it should run a part of a name: zsh, fish and PowerShell read quotes in other ways.
 */
import type { Exhibit, Facts } from "./facts.ts";

export function repeatCommand({ asked, exhibits }: Pick<Facts, "asked" | "exhibits">, date: string): string {
  const named = (role: Exhibit["role"]) => exhibits.filter((each) => each.role === role).map(({ name }) => name);
  const valued = (option: string, values: readonly (string | number | undefined)[]) =>
    values.filter((value) => value !== undefined).flatMap((value) => withValue(option, `${value}`));
  return [
    "fluo-kms verify",
    ...(asked.log ? ["--log"] : []),
    ...valued("--keys", named("keys")),
    ...valued("--vkey", asked.vkeys),
    ...valued("--tenant", [asked.tenant]),
    ...valued("--checkpoint", named("checkpoints")),
    ...valued("--kept-by", [asked.keptBy]),
    ...valued("--from", [asked.from]),
    ...valued("--to", [asked.to]),
    ...(asked.anyOrder ? ["--any-order"] : []),
    ...valued("--report", ["report.html"]),
    ...valued("--date", [date]),
    ...named("spans").map((name) => quoted(name.startsWith("-") ? `./${name}` : name)),
  ].join(" ");
}

/** A value that begins with a dash would be taken for an option. */
function withValue(option: string, value: string): string {
  return value.startsWith("-") ? `${option}=${quoted(value)}` : `${option} ${quoted(value)}`;
}

/** Zsh takes `=name` for a program's path. */
const plain = /^[\w./:+@,-][\w./:+=@,-]*$/;
/** A backslash escapes a quote between quotes in fish; typographic quotes are quotes in PowerShell. */
const notBetweenSingleQuotes = /['\\\u2018-\u201b]/g;

function quoted(text: string): string {
  if (plain.test(text)) return text;
  const between = text.replace(notBetweenSingleQuotes, (each) => `'"${each === "\\" ? "\\\\" : each}"'`);
  return `'${between}'`;
}
