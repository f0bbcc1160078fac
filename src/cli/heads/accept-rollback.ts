/** `accept-rollback`: a store that is behind its heads file is used from now on, by the digest of that finding. */
import type { Config } from "../../config/config.ts";
import { hasCode } from "../../errors.ts";
import { openUnlockedStore } from "../../keys/store-key/unlocked-store.ts";
import { acceptFinding } from "../../store/heads/accept.ts";
import { placeOf } from "../../store/heads/heads-place.ts";
import type { ProviderKeys } from "../../provider-keys/provider-keys.ts";
import { acceptLostLog } from "../../store/offline/lost-log.ts";
import { openTables } from "../../store/registry.ts";
import { checkLogs } from "../check/every-log.ts";
import { type Command, exitCode, Failure, jsonOption, UsageError } from "../command.ts";
import { configOption } from "../configuration.ts";
import { keyOf, presentProviderKeys, storeName, using, withConfig } from "../open-store.ts";
import { oneLine, printJson, printLine } from "../print.ts";
import { realTime } from "../../runtime/time.ts";

export const acceptRollback: Command = {
  name: "accept-rollback",
  summary: "Accepts that the store was put back, after a start was refused for it.",
  options: [configOption, jsonOption],
  operand: "DIGEST",
  details: [
    "Opens the store that the settings name, while no service uses it. DIGEST is what the refused start printed: it accepts that finding and no",
    "other. The audit trail says so, and a new heads file is begun. What the store lacks stays lost: restore a newer one instead if you can.",
    "A service that runs and is not ready for it is told by the rpc AcceptRollback. The damaged log of a SQLite store is accepted likewise, by the",
    "digest that its refusal printed, if what is left is a state that the store was in; database and log are kept beside it.",
  ],
  run(options, digest) {
    if (!/^[0-9a-f]{64}$/.test(digest!))
      throw new UsageError("DIGEST is 64 lower-case hex digits, as the refused start printed them");
    return withConfig(options, (config) =>
      using(presentProviderKeys(config), async (providerKeys) => {
        const place = placeOf(config.store, config.heads);
        if (place === undefined)
          throw new Failure("no heads file is kept for this store, so there is nothing to accept");
        const ofLog = await acceptLog(config, providerKeys, digest!);
        // A store that is not there, or that no service has used, is not made.
        await using(openTables(config.store), (tables) => keyOf(tables, providerKeys, storeName(config.store)));
        const log = { warn: (advice: string) => console.error(oneLine(advice)) };
        const lost = await using(
          openUnlockedStore(config.store, { providerKeys, log, time: realTime }),
          async ({ store, key }) => {
            return acceptHeads({ store, storeKey: key, place, time: realTime }, digest!, ofLog !== undefined);
          },
        );
        if (options.json === true) printJson({ digest, heads_file: place.file, kept: ofLog?.kept ?? null, lost });
        else printAccepted(place.file, lost, ofLog);
        return exitCode.ok;
      }),
    );
  },
};

/** Goes on without the damaged end of the log of a SQLite store; undefined if the log is no reason not to open it. */
async function acceptLog({ store }: Config, providerKeys: ProviderKeys, digest: string) {
  if (store.name !== "sqlite") return undefined;
  return acceptLostLog(store, {
    ...{ digest, actor: by.actor, at: realTime.now() },
    keyOf: async (tables) => (await keyOf(tables, providerKeys, storeName(store))).key,
    async checkLogs(tables, key, problem) {
      await checkLogs(tables, key, { problem, progress() {} });
    },
  });
}

/** A store that goes on without the end of its log may be behind its heads file too: that is another finding, which this digest does not accept. */
async function acceptHeads(parts: Parameters<typeof acceptFinding>[0], digest: string, isLogAccepted: boolean) {
  try {
    return (await acceptFinding(parts, digest, by)).lost;
  } catch (error) {
    if (!isLogAccepted || !hasCode(error, "NOT_FOUND")) throw error;
    return [];
  }
}

function printAccepted(headsFile: string, lost: readonly string[], ofLog: { kept: string } | undefined): void {
  if (ofLog === undefined) printLine(`accepted; ${headsFile} is begun anew`);
  else printLine(`accepted; database and log are kept as they were as ${ofLog.kept}`);
  for (const each of lost) printLine(`lost: ${each}`);
}

const by = { actor: "command line", requestId: "" };
