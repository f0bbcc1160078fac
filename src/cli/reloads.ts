/** Reloads of a service that `serve` runs: everything at a signal, and the files of tenants' keys when they change. They wait for the start to end. */
import { isDeepStrictEqual } from "node:util";
import type { Config } from "../config/config.ts";
import type { Time } from "../runtime/time.ts";
import { stampsOf, watchFiles } from "../runtime/watch-files.ts";
import type { RunningServer } from "../server.ts";
import { printError } from "./print.ts";

export interface ReloadParts {
  running: Promise<RunningServer>;
  /** Reads the configuration. Prints its problems and returns undefined if it has any. */
  readAnew(): Config | undefined;
  time: Time;
}

export interface Reloads {
  /** Reloads everything, as a signal asks for. */
  all(): void;
  close(): void;
}

export function startReloads(config: Config, { running, readAnew, time }: ReloadParts): Reloads {
  let current = config;
  let stamps = stampsOf(current.tenantKeyFiles);

  /** Returns undefined, after telling the service and the operator, if the configuration has problems. */
  function nextConfig(server: RunningServer): Config | undefined {
    stamps = stampsOf(current.tenantKeyFiles);
    const next = readAnew();
    server.configurationRefused(next === undefined);
    if (next === undefined) printError("fluo-kms: the configuration has problems, so the former one holds");
    return next;
  }

  async function all(): Promise<void> {
    const server = await running;
    // Files and settings go by themselves: neither waits for what is wrong with the other, or with a setting.
    const hasFiles = config.policyFile !== undefined || config.tls !== undefined;
    if (hasFiles) await server.reloadFiles();
    const next = nextConfig(server);
    if (next === undefined) return;
    const hasKeys = current.hasTenantProviderKeys || next.hasTenantProviderKeys;
    if (!hasKeys && !hasFiles) return printError(nothingToRead);
    if (hasKeys) await server.replaceTenantProviderKeys(next);
    hold(next);
    watched.look();
  }

  /** Reloads the file of tenants after a change, unless a signal has done so already. */
  async function tenants(): Promise<void> {
    const server = await running;
    const next = nextConfig(server);
    if (next === undefined || isDeepStrictEqual(next.tenantProviderKeys, current.tenantProviderKeys)) return;
    await server.replaceTenantProviderKeys(next);
    hold(next);
  }

  /** Another file of tenants was read before it was watched: it counts as changed. */
  function hold(next: Config): void {
    const isOther = !isDeepStrictEqual(next.tenantKeyFiles, current.tenantKeyFiles);
    current = next;
    if (isOther) stamps = new Map(current.tenantKeyFiles.map((path) => [path, "not looked at yet"]));
  }

  async function refuse(): Promise<void> {
    printError("fluo-kms: the configuration cannot be read, so the former one holds");
    (await running).configurationRefused(true);
  }

  const watched = watchFiles({ stamps: () => stamps, changed: () => tenants().catch(refuse), time });
  return { all: () => void all().catch(refuse), close: watched.close };
}

const nothingToRead =
  "fluo-kms: SIGHUP reads the policy, certificates and provider keys of tenants anew, and the configuration has none, so nothing changes";
