/** Files that options or the environment name and whose content a service is shown: tokens, certificates, private keys. */
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { UsageError } from "../command.ts";
import { printError } from "../print.ts";

/** Where a file, or a text in its place, was named: by option, or by variable. */
export interface Named {
  origin: string;
  file: string;
}

/** The option counts before the variable. */
export function fileNamed(
  option: readonly [name: string, file: string | undefined],
  variable: readonly [name: string, file: string | undefined],
): Named | undefined {
  const [name, file] = option[1] === undefined ? variable : ([`--${option[0]}`, option[1]] as const);
  return file === undefined ? undefined : { origin: name, file };
}

/** Text for messages: `--token-file ops.token`. */
export function nameOf({ origin, file }: Named): string {
  return `${origin} ${file}`;
}

const others = 0o004;
const warned = new Set<string>();

/** Throws UsageError where it cannot be read. A secret that others can read is told of, once. */
export function readShown(named: Named, { isSecret }: { isSecret: boolean }): string {
  try {
    const opened = openSync(named.file, "r");
    try {
      const status = fstatSync(opened);
      if (isSecret && status.isFile() && (status.mode & others) !== 0) warn(named);
      return readFileSync(opened, "utf8");
    } finally {
      closeSync(opened);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`${nameOf(named)} cannot be read (${code}); give the path of a file that this user can read`);
  }
}

function warn(named: Named): void {
  if (warned.has(named.file)) return;
  warned.add(named.file);
  printError(`fluo-kms: ${nameOf(named)} can be read by every user of this machine; chmod o= ${named.file}`);
}
