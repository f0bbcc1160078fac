/** A file that was named on the command line. */
import { readFileSync } from "node:fs";
import { UsageError } from "./command.ts";

/** Throws UsageError where it cannot be read. */
export function readFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new UsageError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
