/** `backup`: the whole store in one new file, while the service goes on. */
import { resolve } from "node:path";
import type { Config } from "../../config/config.ts";
import { KmsError } from "../../errors.ts";
import { openTables } from "../../store/registry.ts";
import { type Command, exitCode, Failure, jsonOption } from "../command.ts";
import { configOption } from "../configuration.ts";
import { withAdvice } from "../failures.ts";
import { noteDone } from "../note-done.ts";
import { oneLine, printJson, printLine, printTable } from "../print.ts";
import { contentsJson, contentsRows, told, using, withConfig } from "../open-store.ts";

export const backup: Command = {
  name: "backup",
  summary: "Copies the whole store into a new file, while the service may be running.",
  options: [configOption, jsonOption],
  operand: "FILE",
  details: [
    "Opens the store that the settings name; the provider is not needed. The backup is a SQLite file, of a PostgreSQL store too, and holds",
    "keys only as the provider wrapped them: without the provider's key, or the local provider's key file, it is worth nothing.",
    "If fluo.kms.backup.interval is set, the store notes that it was made. For that the provider is needed, and one row is written.",
  ],
  run: (options, operand) =>
    withConfig(options, async (config) => {
      const file = resolve(operand);
      const at = new Date(); // what is made later is not in it
      const contents = await using(told(openTables(config.store)), (tables) => tables.backUp(file));
      const noted = config.backupIntervalMs > 0 && (await noteBackup(config, at));
      if (options.json === true) printJson({ file, ...contentsJson(contents), noted });
      else {
        printLine(`backed up to ${file}`);
        printTable(contentsRows(contents), "  ");
        if (noted) printLine("noted in the store");
      }
      return exitCode.ok;
    }),
};

/** Gives whether the store notes the backup now. It is on disk, so the command only warns of what goes wrong here. */
async function noteBackup(config: Config, at: Date): Promise<boolean> {
  try {
    await noteDone(config, { work: "backup", at });
    return true;
  } catch (error) {
    console.error(oneLine(`warning: the backup was made, and is not noted in the store: ${whyNot(error)}`));
    return false;
  }
}

function whyNot(error: unknown): string {
  if (error instanceof KmsError) return withAdvice(error);
  return error instanceof Failure ? error.message : "internal error";
}
