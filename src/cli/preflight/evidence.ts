/** What preflight looks at: answers of the running service, the settings, and the store that these name. Whether they belong together. */
import type { Config } from "../../config/config.ts";
import { isDataDirectory } from "../../store/directory/layout.ts";
import type { OperatorNotes } from "../../store/offline/operator-notes.ts";
import type { ExaminedServer } from "../../store/postgres/examined-server.ts";
import type { Status } from "../commands/status.ts";
import type { Validation } from "../commands/validate.ts";
import type { VerifiedAudit } from "../commands/audit-verify.ts";
import type { Place } from "../access/token.ts";
import type { Tried } from "./attempt.ts";

export interface Evidence {
  now: Date;
  /** Address at which the service was asked. */
  place: Place;
  config: Config;
  /** Value of `--replicas`. */
  replicas: number | undefined;
  status: Status;
  validation: Tried<Validation>;
  ready: Tried<unknown>;
  live: Tried<unknown>;
  /** Not asked for over a local socket, which says nothing of tenants. */
  audit: Tried<VerifiedAudit> | { unasked: string };
  files: NamedFiles;
  /** Undefined if the settings are not the service's, or the store is in memory: nothing was opened. */
  store: StoreEvidence | undefined;
}

/** Files that the settings name; undefined for those that they do not. */
export interface NamedFiles {
  /** SHA-256, lower-case hex. */
  policy: Tried<string> | undefined;
  /** Life of the certificate that is served. */
  certificate: Tried<{ from: Date; until: Date }> | undefined;
}

export interface StoreEvidence {
  identity: Tried<StoreIdentity>;
  /** Undefined if it is another store than the service's: then nothing of it is read. */
  notes: Tried<OperatorNotes> | undefined;
  /** The PostgreSQL server; undefined for another store. */
  server: Tried<ExaminedServer> | undefined;
  /** Kind of the network file system that a SQLite file is on; undefined for a local disk. */
  network: string | undefined;
}

export interface StoreIdentity {
  /** A restored copy has the id of its original. */
  id: string;
  /** Whether an audit row arrived that the service was just made to write: a copy never gets it. */
  isWrittenTo: Tried<boolean>;
}

/** Why the settings, or their store, are not those of the service; undefined if they may be. */
export function foreign(evidence: Pick<Evidence, "config" | "status" | "store">): string | undefined {
  const { status, store } = evidence;
  return otherSettings(evidence) ?? (store && otherStore({ status, identity: store.identity }));
}

/** Why the settings that were read are not those of the service, whatever is in the store that they name. */
export function otherSettings({ config, status }: Pick<Evidence, "config" | "status">): string | undefined {
  if (status.provider !== config.provider.name) {
    return `the service has the provider ${status.provider}, and these settings ${config.provider.name}`;
  }
  if (status.store !== config.store.name) {
    return `the service has the store ${status.store}, and these settings ${config.store.name}`;
  }
  const { dataDirectory } = config;
  if (dataDirectory !== undefined && !isDataDirectory(dataDirectory.directory)) {
    return `the service has the store ${status.store}, and these settings lead to ${dataDirectory.directory}, which is no data directory`;
  }
  return undefined;
}

/** Why the store that was read is not the one that the service writes to; undefined if it may be. */
export function otherStore({
  status,
  identity,
}: Pick<Evidence, "status"> & Pick<StoreEvidence, "identity">): string | undefined {
  if ("why" in identity) return undefined;
  const { id, isWrittenTo } = identity.got;
  if (isOtherId(id, status)) return `these settings lead to the store ${id}, and the service has ${status.store_id}`;
  if ("why" in isWrittenTo || isWrittenTo.got) return undefined;
  return `what the service has just written is not in the store of these settings, ${id}: it is another, such as a restored copy`;
}

/** A service of an earlier release does not say its store's id. */
export function isOtherId(id: string, { store_id: told = "" }: Status): boolean {
  return told !== "" && told !== id;
}
