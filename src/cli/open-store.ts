/**
 * The configured store, opened by a command itself, beside a service or without one; and the provider that opens its key. What goes wrong
 * is one line that says what to do, and never shows the database's URL.
 */
import { existsSync } from "node:fs";
import type { KeyObject } from "node:crypto";
import type { Config } from "../config/config.ts";
import { KmsError } from "../errors.ts";
import { allowed } from "../keys/states.ts";
import { ownKeys } from "../provider-keys/names.ts";
import { type ProviderKeys, providerKeys, nameOf } from "../provider-keys/provider-keys.ts";
import { unwrapStoreKey } from "../keys/store-key/unlock.ts";
import { watchProvider } from "../provider-keys/watch.ts";
import { openProviderKey, openProviders } from "../provider/open.ts";
import type { ProviderSettings } from "../provider/registry.ts";
import type { Contents, CopiedLog, ProviderKey } from "../store/offline/copy.ts";
import { isDataDirectory } from "../store/directory/layout.ts";
import type { StoreSettings } from "../store/registry.ts";
import type { RowCounts } from "../store/offline/row-counts.ts";
import type { Tables } from "../store/offline/tables.ts";
import type { WrappedStoreKey } from "../store/store.ts";
import { startTenantProviderKeys } from "../provider-keys/tenant-provider-keys.ts";
import { type ExitCode, exitCode, Failure, type OptionValues } from "./command.ts";
import { configFrom } from "./configuration.ts";
import { countsText, printError, printJson } from "./print.ts";
import { withAdvice } from "./failures.ts";
import { warning } from "./styled.ts";
import { realTime } from "../runtime/time.ts";

/** Runs `work` under the configuration. A setting that cannot be used is exit 2, any other error of ours exit 1. */
export async function withConfig(
  options: OptionValues,
  work: (config: Config) => Promise<ExitCode>,
): Promise<ExitCode> {
  const config = configFrom(options);
  if (config === undefined) return exitCode.usage;
  try {
    return await work(config);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    const message = withAdvice(error);
    const json = {
      code: error.code,
      message,
      fields: error.violations.map(({ field, description }) => ({ field, description })),
      ...(Object.keys(error.metadata).length > 0 && { metadata: error.metadata }),
    };
    if (error.code !== "INVALID_ARGUMENT") throw new Failure(message, json);
    if (options.json === true) printJson(json);
    else printError(message);
    return exitCode.usage;
  }
}

/** Runs `work` under the configuration of a store that is there: no command makes a data directory. */
export async function withStore(options: OptionValues, work: (config: Config) => Promise<ExitCode>): Promise<ExitCode> {
  return withConfig(options, async (config) => {
    const { dataDirectory } = config;
    if (dataDirectory !== undefined && !isDataDirectory(dataDirectory.directory)) {
      throw new Failure(
        `there is no data directory at ${dataDirectory.directory}: run this where the service was started, or set fluo.kms.data-directory, or what the service has set for its store`,
      );
    }
    return work(config);
  });
}

/** Opens, works, closes. */
export async function using<T extends { close(): Promise<void> }, R>(
  opening: Promise<T>,
  work: (opened: T) => Promise<R>,
): Promise<R> {
  const opened = await opening;
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

/** Tells on standard error what an operator should hear of how a store was opened. */
export async function warnOfLog(opening: Promise<Tables>): Promise<Tables> {
  const tables = await opening;
  if (tables.log?.isWarning === true) printError(warning("warning", `: the write-ahead log was ${tables.log.text}`));
  return tables;
}

/** Undefined if they cannot be counted: what is wrong with the store is for the work itself to tell. */
export async function countedRows(tables: Tables): Promise<RowCounts | undefined> {
  return tables.rowCounts().catch(() => undefined);
}

/** A key file that is not there is not made: what is stored was wrapped by another. */
export async function presentProviderKeys(config: Config): Promise<ProviderKeys> {
  refuseAbsentFiles([config.provider, ...(config.otherProvider === undefined ? [] : [config.otherProvider])]);
  const [current, ...others] = await openProviders(config, { time: realTime });
  return providerKeys({ current, others, storeKeyPin: config.storeKeyPin });
}

/** Those of tenants too. One of them that cannot be opened is missing, as a service would miss it. */
export async function everyProviderKey(config: Config): Promise<ProviderKeys> {
  refuseAbsentFiles([...config.tenantProviderKeys.providerKeys.values()]);
  const { current, shared, close } = await presentProviderKeys(config);
  const tenantProviderKeys = await startTenantProviderKeys({
    settings: config.tenantProviderKeys,
    own: ownKeys(config, shared),
    open: (settings) => openProviderKey(settings, { time: realTime }),
    watch: (provider) => watchProvider({ provider, time: realTime }),
    time: realTime,
    opened() {},
    failed(name, error) {
      const why = error instanceof KmsError ? error.message : "internal error";
      printError(`provider key ${name} cannot be opened: ${why}`);
    },
    ended() {},
    patienceMs: tenantPatienceMs,
  });
  return {
    ...providerKeys({ current, others: shared.slice(1), tenantProviderKeys, storeKeyPin: config.storeKeyPin }),
    close: async () => void (await Promise.all([close(), tenantProviderKeys.close()])),
  };
}

/** As long as a call lasts at most: nobody waits for a start here. */
const tenantPatienceMs = 10_000;

function refuseAbsentFiles(settings: readonly ProviderSettings[]): void {
  for (const each of settings) {
    if (each.name === "local" && each.masterKeyFile !== undefined && !existsSync(each.masterKeyFile)) {
      throw new Failure(
        `there is no master key at ${each.masterKeyFile}; put back the one that the store was made with`,
      );
    }
  }
}

/** `what` names the store in a Failure: one that was never written to, or that another provider key wrapped. */
export async function keyOf(
  tables: Pick<Tables, "storeKey">,
  providerKeys: ProviderKeys,
  what: string,
): Promise<{ stored: WrappedStoreKey; key: KeyObject }> {
  const stored = await tables.storeKey();
  if (stored === undefined) throw new Failure(`${what} has no store key yet: no service has used it`);
  try {
    return { stored, key: await unwrapStoreKey(stored, providerKeys) };
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    const otherwise =
      error.code === "PROVIDER_UNAVAILABLE" ? "try again" : "configure the provider and key that it was made with";
    throw new Failure(`${what} cannot be opened: ${error.message}; ${error.advice ?? otherwise}`, {
      code: error.code,
      message: error.message,
      fields: [],
    });
  }
}

/** The store as the operator knows it. */
export function storeName(settings: StoreSettings): string {
  return settings.name === "sqlite" ? `the SQLite store ${settings.file}` : `the ${settings.name} store`;
}

export function contentsJson({ storeId, keys, auditEvents, newestAuditAt, requests, logs, providerKeys }: Contents) {
  return {
    store_id: storeId ?? null,
    keys,
    audit_events: auditEvents,
    newest_audit_event: newestAuditAt?.toISOString() ?? null,
    requests: requests.rotations,
    batches: requests.batches,
    logs: logs.map(logJson),
    provider_keys: providerKeys.map(providerKeyJson),
  };
}

export function logJson({ tenantId, number, origin, size, state }: CopiedLog) {
  return { tenant_id: tenantId, number, origin, size, state };
}

export function providerKeyJson({ provider, providerKeyId, keys, storeKey }: ProviderKey) {
  return { provider, provider_key_id: providerKeyId, keys, store_key: storeKey };
}

/** For printTable. */
export function providerKeyRows(all: readonly ProviderKey[]): string[][] {
  return all.map(({ keys, storeKey, ...by }, index) => {
    const counted = `${keys} key${keys === 1 ? "" : "s"}${storeKey ? " and the store key" : ""}`;
    return [index === 0 ? "wrapped by" : "", `${nameOf(by)}: ${counted}`];
  });
}

/** For printTable. */
export function contentsRows({ keys, auditEvents, newestAuditAt, requests, logs, providerKeys }: Contents): string[][] {
  const newest = newestAuditAt === undefined ? "" : `, the newest of ${newestAuditAt.toISOString()}`;
  return [
    ...Object.entries(keys).map(([purpose, states]) => [`${purpose} keys`, statesText(states)]),
    ...providerKeyRows(providerKeys),
    ["audit events", `${auditEvents}${newest}`],
    ["request ids", `${requests.rotations} of rotations, ${requests.batches} of batches`],
    ["logs", logsText(logs)],
  ];
}

export function logsText(logs: readonly Pick<CopiedLog, "size">[]): string {
  return `${logs.length} with ${logs.reduce((sum, { size }) => sum + size, 0)} entries`;
}

/** In the order of a key's life. */
export function statesText(states: Readonly<Partial<Record<string, number>>>): string {
  const known = Object.keys(allowed).filter((state) => states[state] !== undefined);
  return countsText(Object.fromEntries(known.map((state) => [state, states[state]!])));
}
