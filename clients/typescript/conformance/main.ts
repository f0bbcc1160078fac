/** The conformance program of this client: `node main.ts COMMAND WORLD.json`, as clients/conformance/README.md says. */
import { check } from "./check.ts";
import { exportSpans } from "./export.ts";
import { fake } from "./fake.ts";
import { flush } from "./flush.ts";
import { identities } from "./identities.ts";
import { judge } from "./judge.ts";
import { produce } from "./produce.ts";
import { pushback } from "./pushback.ts";
import { resume } from "./resume.ts";
import { openedStream, sealedStream } from "./streams.ts";
import { readJson, type World } from "./world.ts";

const commands: Record<string, (world: World) => Promise<number>> = {
  check,
  fake,
  flush,
  identities,
  judge,
  produce,
  pushback,
  resume,
  export: exportSpans,
  "seal-stream": sealedStream,
  "open-stream": openedStream,
};

const [name = "", file = ""] = process.argv.slice(2);
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (command === undefined)
  throw new Error(`conformance takes a command, ${Object.keys(commands).join(", ")}, and WORLD.json`);
process.exitCode = await command(readJson<World>(file));
