/** `migrate`: brings the store to this release, and finishes an upgrade. See docs/UPGRADE.md. */
import { realTime } from "../../runtime/time.ts";
import type { Config } from "../../config/config.ts";
import { openUnlockedStore } from "../../keys/store-key/open.ts";
import { type HeadsPlace, placeOf } from "../../store/heads/place.ts";
import { refuseBehind, refuseEmpty } from "../../store/heads/judge.ts";
import { migrateStore, openTables, type SqliteSettings, whileStored } from "../../store/registry.ts";
import { newestSchema } from "../../store/sql/rows/schema.ts";
import type { ReplicaStatus } from "../../store/upgrade-store.ts";
import { type Finished, finishUpgrade } from "../../upgrade/finish.ts";
import { type Command, exitCode, Failure, jsonOption } from "../command.ts";
import { configOption } from "../configuration.ts";
import { keyOf, presentProviderKeys, storeName, using, withStore } from "../open-store.ts";
import { printError, printJson, printLine } from "../print.ts";
import { startProgress } from "../progress.ts";

export const migrate: Command = {
  name: "migrate",
  summary: "Brings the store to this release, or finishes an upgrade.",
  options: [
    configOption,
    { name: "finish", description: "have the store be for this release and later ones alone" },
    jsonOption,
  ],
  details: [
    "Opens the store that the settings name, while services of this release and of the one before may be running, and brings its tables to this",
    "release. Services of the release before go on, and may come back: until --finish nothing is lost by that. The provider is not needed.",
    "--finish is for when no service of the release before runs any more. It writes anew what those wrote in their form, which needs the",
    "provider, and from then on the way back is a backup. It refuses, and changes nothing, while one of them runs.",
  ],
  run: (options) =>
    withStore(options, async (config) => {
      const held = () => printError("a table is held, by a backup perhaps: tried again in 5 s");
      const heads = placeOf(config.store, config.heads);
      if (config.store.name === "sqlite") await judgeUnopened(config.store, heads);
      const { before, after } = await migrateStore(config.store, held);
      const finished = options.finish === true ? await finish(config) : undefined;
      if (finished?.kind === "older") throw stillRunning(finished.replicas);
      const minReader = finished === undefined ? after.minReader : newestSchema;
      if (options.json === true)
        printJson({ before, version: after.version, min_reader: minReader, ...finishedJson(finished) });
      else printMigrated(config, { before, version: after.version, minReader, finished });
      return exitCode.ok;
    }),
};

/** Refuses a store that is behind its heads file before its tables are touched. The provider is not needed, so nothing is authenticated. */
function judgeUnopened(settings: SqliteSettings, heads: HeadsPlace | undefined): Promise<void> {
  return whileStored(settings, async (store) => {
    if ((await store.storeKey()) === undefined) await refuseEmpty(heads, store);
    else await refuseBehind(store.heads(undefined), undefined, heads);
  });
}

/** A store that no service has used is not given a key here. */
async function finish(config: Config): Promise<Finished> {
  return using(presentProviderKeys(config), async (providerKeys) => {
    await using(openTables(config.store), (tables) => keyOf(tables, providerKeys, storeName(config.store)));
    const log = { warn: (text: string) => printError(text) };
    const heads = placeOf(config.store, config.heads);
    return using(openUnlockedStore(config.store, { providerKeys, heads, log, time: realTime }), async ({ store }) => {
      const progress = startProgress();
      try {
        return await finishUpgrade(store, event(), (rows) => progress.show(`${rows} rows written anew`, rows));
      } finally {
        progress.end();
      }
    });
  });
}

function event() {
  const { at, actor } = { at: realTime.now(), actor: "command line" };
  const nothing = { tenantId: "", purpose: undefined, keyId: "", requestId: "" } as const;
  return {
    at,
    actor,
    action: "finish_upgrade",
    detail: `schema ${newestSchema}`,
    outcome: "OK",
    count: 1,
    ...nothing,
  } as const;
}

function stillRunning(replicas: readonly ReplicaStatus[]): Failure {
  const lines = replicas.map(
    ({ replicaId, release, seenAt }) => `${replicaId} of release ${release}, seen at ${seenAt.toISOString()}`,
  );
  const message = `replicas of an earlier release run, or did meanwhile: stop them, and try again when they have been gone for 90 s\n${lines.join("\n")}`;
  const json = { code: "CONFLICT", message, fields: [], replicas: replicas.map(replicaJson) };
  return new Failure(message, json);
}

function replicaJson({ replicaId, release, version, seenAt }: ReplicaStatus) {
  return { replica_id: replicaId, release, version, seen_at: seenAt.toISOString() };
}

function finishedJson(finished: Finished | undefined) {
  return finished === undefined ? {} : { finished: true, rewritten: finished.rewritten };
}

interface Outcome {
  before: number;
  version: number;
  minReader: number;
  finished: Finished | undefined;
}

function printMigrated({ store }: Config, { before, version, minReader, finished }: Outcome): void {
  const what = storeName(store);
  if (before === 0) printLine(`${what} was made, of schema version ${version}`);
  else if (before < version) printLine(`${what} was brought from schema version ${before} to ${version}`);
  else printLine(`${what} has schema version ${version}`);
  if (finished?.kind === "finished") {
    const rows = finished.rewritten > 0 ? `; ${finished.rewritten} rows were written anew` : "";
    printLine(`finished: releases before schema version ${minReader} cannot use it any more${rows}`);
  } else if (version > newestSchema) {
    const until = "until the newer release's fluo-kms migrate --finish";
    printLine(`releases from schema version ${minReader} on may use it, ${until}`);
  } else if (minReader < newestSchema) {
    printLine(`releases from schema version ${minReader} on may use it, until fluo-kms migrate --finish`);
  } else printLine("the upgrade is finished");
}
