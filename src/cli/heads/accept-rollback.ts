/** `accept-rollback`: a store that is behind its heads file is used from now on, by the digest of that finding. */
import { openUnlockedStore } from "../../keys/store-key/unlocked-store.ts";
import { acceptFinding } from "../../store/heads/accept.ts";
import { placeOf } from "../../store/heads/heads-place.ts";
import { openTables } from "../../store/registry.ts";
import { type Command, exitCode, Failure, jsonOption, UsageError } from "../command.ts";
import { configOption } from "../configuration.ts";
import { keyOf, presentProviderKeys, storeName, using, withConfig } from "../open-store.ts";
import { oneLine, printJson, printLine } from "../print.ts";

export const acceptRollback: Command = {
  name: "accept-rollback",
  summary: "Accepts that the store was put back, after a start was refused for it.",
  options: [configOption, jsonOption],
  operand: "DIGEST",
  details: [
    "Opens the store that the settings name, while no service uses it. DIGEST is what the refused start printed: it accepts that finding and no",
    "other. The audit trail says so, and a new heads file is begun. What the store lacks stays lost: restore a newer one instead if you can.",
    "A service that runs and is not ready for it is told by the rpc AcceptRollback.",
  ],
  run(options, digest) {
    if (!/^[0-9a-f]{64}$/.test(digest!))
      throw new UsageError("DIGEST is 64 lower-case hex digits, as the refused start printed them");
    return withConfig(options, (config) =>
      using(presentProviderKeys(config), async (providerKeys) => {
        const place = placeOf(config.store, config.heads);
        if (place === undefined)
          throw new Failure("no heads file is kept for this store, so there is nothing to accept");
        // A store that is not there, or that no service has used, is not made.
        await using(openTables(config.store), (tables) => keyOf(tables, providerKeys, storeName(config.store)));
        const log = { warn: (advice: string) => console.error(oneLine(advice)) };
        const { lost } = await using(openUnlockedStore(config.store, { providerKeys, log }), ({ store, key }) =>
          acceptFinding({ store, storeKey: key, place, clock: () => new Date() }, digest!, by),
        );
        if (options.json === true) printJson({ digest, heads_file: place.file, lost });
        else {
          printLine(`accepted; ${place.file} is begun anew`);
          for (const each of lost) printLine(`lost: ${each}`);
        }
        return exitCode.ok;
      }),
    );
  },
};

const by = { actor: "command line", requestId: "" };
