/** `fluo-kms verify` in a process of its own, on the files of a case. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProcess } from "../../support/cli-fixture.ts";
import type { Case } from "./cases.ts";

const plain = /^[\w.-]+$/;

export interface CommandEnd {
  code: number | null;
  /** Undefined if the input was refused. */
  report: string | undefined;
}

/** Writes the files of a case into a new folder, and returns what the command is to be called with there. Odd names are not kept. */
export function writtenCase(each: Case, parent = tmpdir()): { folder: string; args: string[] } {
  const { asked } = each;
  const given = [each.spans, each.keys, ...each.checkpoints];
  const isPlain =
    new Set(given.map(({ name }) => name)).size === given.length && given.every(({ name }) => plain.test(name));
  const [spans, keys, ...checkpoints] = isPlain ? given : given.map(({ bytes }, i) => ({ name: `file-${i}`, bytes }));
  const folder = mkdtempSync(join(parent, "fluo-kms-agreement-"));
  for (const { name, bytes } of [spans!, keys!, ...checkpoints]) writeFileSync(join(folder, name), bytes);
  const { log, tenant, vkeys, from, to, anyOrder, keptBy } = asked;
  const valued = Object.entries({ tenant, from, to, "kept-by": keptBy }).filter(([, value]) => value !== undefined);
  const args = [
    ...(log ? ["--log"] : []),
    ...(anyOrder ? ["--any-order"] : []),
    `--keys=${keys!.name}`,
    ...valued.map(([name, value]) => `--${name}=${value}`),
    ...vkeys.map((vkey) => `--vkey=${vkey}`),
    ...checkpoints.map(({ name }) => `--checkpoint=${name}`),
    spans!.name,
  ];
  return { folder, args: ["verify", ...args] };
}

export async function endOfCommand(each: Case, date: string): Promise<CommandEnd> {
  const { folder, args } = writtenCase(each);
  try {
    const { code } = await runProcess([...args, "--report=report.html", `--date=${date}`], { cwd: folder });
    const report = join(folder, "report.html");
    return { code, report: existsSync(report) ? readFileSync(report, "utf8") : undefined };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
