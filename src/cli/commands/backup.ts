/** `backup`: the whole store in one new file, while the service goes on. */
import { resolve } from "node:path";
import { openTables } from "../../store/registry.ts";
import { type Command, exitCode, jsonOption } from "../command.ts";
import { configOption } from "../configuration.ts";
import { printJson, printLine, printTable } from "../print.ts";
import { contentsJson, contentsRows, told, using, withConfig } from "../open-store.ts";

export const backup: Command = {
  name: "backup",
  summary: "Copies the whole store into a new file, while the service may be running.",
  options: [configOption, jsonOption],
  operand: "FILE",
  details: [
    "Opens the store that the settings name; the provider is not needed. The backup is a SQLite file, of a PostgreSQL store too, and holds",
    "keys only as the provider wrapped them: without the provider's key, or the local provider's key file, it is worth nothing.",
  ],
  run: (options, operand) =>
    withConfig(options, async (config) => {
      const file = resolve(operand);
      const contents = await using(told(openTables(config.store)), (tables) => tables.backUp(file));
      if (options.json === true) printJson({ file, ...contentsJson(contents) });
      else {
        printLine(`backed up to ${file}`);
        printTable(contentsRows(contents), "  ");
      }
      return exitCode.ok;
    }),
};
