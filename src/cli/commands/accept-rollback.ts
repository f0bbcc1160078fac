/** `accept-rollback`: a store that is behind its heads file is used from now on, by the digest of that finding. */
import type { Config } from "../../config/config.ts";
import { KmsError } from "../../errors.ts";
import { openUnlockedStore } from "../../keys/store-key/open.ts";
import { acceptFinding } from "../../store/heads/keeper.ts";
import type { Finding } from "../../store/heads/finding.ts";
import { type HeadsPlace, placeOf } from "../../store/heads/place.ts";
import { judgeHeads, refusal } from "../../store/heads/judge.ts";
import type { ProviderKeys } from "../../provider-keys/provider-keys.ts";
import { acceptLostLog } from "../../store/offline/lost-log.ts";
import type { StoredStore } from "../../store/offline/stored.ts";
import { openTables, whileStored } from "../../store/registry.ts";
import { checkLogs } from "../check/logs.ts";
import { type Command, exitCode, Failure, jsonOption, UsageError } from "../command.ts";
import { configOption } from "../configuration.ts";
import { keyOf, presentProviderKeys, storeName, using, withStore } from "../open-store.ts";
import { printError, printJson, printLine } from "../print.ts";
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
    return withStore(options, (config) =>
      using(presentProviderKeys(config), async (providerKeys) => {
        const place = placeOf(config.store, config.heads);
        if (place === undefined)
          throw new Failure("no heads file is kept for this store, so there is nothing to accept");
        const ofLog = await acceptLog(config, providerKeys, digest!);
        const finding = await findingIn(config, providerKeys, place);
        if (finding === undefined && ofLog === undefined)
          throw new KmsError("NOT_FOUND", "there is nothing to accept: the store is not behind its heads file");
        if (finding !== undefined) {
          // After a log was accepted the store may be behind its heads file too: that is another finding, which this digest does not accept.
          if (finding.digest !== digest) throw refusal(finding);
          const log = { warn: printError };
          await using(
            openUnlockedStore(config.store, { providerKeys, heads: undefined, log, time: realTime }),
            ({ store, key }) => acceptFinding({ store, storeKey: key, place, time: realTime }, finding, by),
          );
        }
        const lost = finding?.lost ?? [];
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
    digest,
    actor: by.actor,
    at: realTime.now(),
    keyOf: async (tables) => (await keyOf(tables, providerKeys, storeName(store))).key,
    async checkLogs(tables, key, problem) {
      await checkLogs(tables, key, { problem, progress() {} });
    },
  });
}

/** Returns the finding that a start would refuse. Nothing is opened for writing, and a store that is not there is not made. */
function findingIn(
  { store: settings }: Config,
  providerKeys: ProviderKeys,
  place: HeadsPlace,
): Promise<Finding | undefined> {
  const judged = async (store: StoredStore) => {
    const { key } = await keyOf(store, providerKeys, storeName(settings));
    return (await judgeHeads(store.heads(key), key, place)).finding;
  };
  return settings.name === "sqlite" ? whileStored(settings, judged) : using(openTables(settings), judged);
}

function printAccepted(headsFile: string, lost: readonly string[], ofLog: { kept: string } | undefined): void {
  if (ofLog === undefined) printLine(`accepted; ${headsFile} is begun anew`);
  else printLine(`accepted; database and log are kept as they were as ${ofLog.kept}`);
  for (const each of lost) printLine(`lost: ${each}`);
}

const by = { actor: "command line", requestId: "" };
