/** What preflight looks at: answers of the running service, the settings, and the store that these name. */
import type { Config } from "../../config/config.ts";
import { isDataDirectory } from "../../store/directory/data-directory.ts";
import type { OperatorNotes } from "../../store/offline/operator-notes.ts";
import type { ExaminedServer } from "../../store/postgres/examined-server.ts";
import type { Status } from "../commands/status.ts";
import type { Validation } from "../commands/validate.ts";
import type { VerifiedAudit } from "../commands/audit-verify.ts";
import type { Place } from "../access/service-token.ts";
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
  audit: Tried<VerifiedAudit>;
  files: NamedFiles;
  /** Undefined if it is not the service's, or in memory: nothing was opened. */
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
  notes: Tried<OperatorNotes>;
  /** The PostgreSQL server; undefined for another store. */
  server: Tried<ExaminedServer> | undefined;
  /** Kind of the network file system that a SQLite file is on; undefined for a local disk. */
  network: string | undefined;
}

/** Why the settings that were read are not those of the service; undefined if they may be. */
export function foreign({ config, status, store }: Pick<Evidence, "config" | "status" | "store">): string | undefined {
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
  const isElsewhere = store !== undefined && "got" in store.notes && !store.notes.got.hasWriter;
  if (isElsewhere && (status.audit?.sequence ?? 0) > 0) {
    return `the ${config.store.name} store of these settings has no audit row of the service: it is another store`;
  }
  return undefined;
}
