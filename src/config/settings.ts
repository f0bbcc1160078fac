/**
 * Every setting by name: how its value is read, and its default as it would be written. A word that a later version serves moves from
 * `later` to `available`, here; a name that a later version serves moves from `laterNames` into the table.
 */
import { quartzCron } from "./cron.ts";
import {
  choice,
  duration,
  filePath,
  host,
  issuerName,
  type Parser,
  postgresUrl,
  profileName,
  trueOrFalse,
  wholeNumber,
} from "./value.ts";

export interface Setting {
  parse: Parser<unknown>;
  /** The default, as text; a setting without one may be absent. */
  standard?: string;
}

const port = wholeNumber(0, 65_535);

export const settings = {
  "fluo.kms.profile": { parse: profileName, standard: "dev" },
  "fluo.kms.provider": { parse: choice(["local"], ["aws", "vault", "gcp", "azure"]), standard: "local" },
  "fluo.kms.local.master-key-file": { parse: filePath },
  // Without a value it depends on the provider, see config.ts.
  "fluo.kms.store": { parse: choice(["memory", "sqlite", "postgres"]) },
  "fluo.kms.sqlite.file": { parse: filePath, standard: "fluo-kms.db" },
  "fluo.kms.postgres.url": { parse: postgresUrl },
  "fluo.kms.postgres.max-connections": { parse: wholeNumber(1, 100), standard: "8" },
  "fluo.kms.auth": { parse: choice(["none"]), standard: "none" },
  "fluo.kms.issuer": { parse: issuerName, standard: "localhost" },
  "fluo.kms.host": { parse: host, standard: "127.0.0.1" },
  "fluo.kms.grpc.port": { parse: port, standard: "9000" },
  "fluo.kms.http.port": { parse: port, standard: "8080" },
  "fluo.kms.tls.certificate": { parse: filePath },
  "fluo.kms.tls.key": { parse: filePath },
  "fluo.kms.shutdown.grace": { parse: duration("0s", "1h"), standard: "20s" },
  "fluo.kms.log.level": {
    parse: choice(["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
    standard: "info",
  },
  "kms.cache.ttl": { parse: duration("1s", "7d"), standard: "60m" },
  "kms.cache.public-ttl": { parse: duration("1s", "7d"), standard: "24h" },
  "kms.cache.max-entries": { parse: wholeNumber(1, 1_000_000), standard: "1000" },
  "kms.cache.max-stale": { parse: duration("0s", "7d"), standard: "4h" },
  "kms.rotation.enabled": { parse: trueOrFalse, standard: "true" },
  "kms.rotation.check-cron": { parse: quartzCron, standard: "0 0 2 * * ?" },
  "kms.rotation.max-age-days": { parse: wholeNumber(1, 3_650), standard: "90" },
  "kms.rotation.max-per-second": { parse: wholeNumber(1, 10_000), standard: "100" },
} as const satisfies Record<string, Setting>;

/** Known, but without effect in this version. */
export const laterNames: readonly string[] = [
  "aws.kms.master-key-id",
  "aws.kms.region",
  "aws.kms.endpoint",
  "kms.cache.warm",
];

/** What is under these is ours: there, an unknown name is a mistake. */
export const prefixes: readonly string[] = ["fluo.kms.", "kms.", "aws.kms.", "vault.", "gcp.kms.", "azure."];

export type SettingName = keyof typeof settings;
export const settingNames = Object.keys(settings) as SettingName[];
export const knownNames: readonly string[] = [...settingNames, ...laterNames];

type ValueOf<S> = S extends { parse: Parser<infer T>; standard: string }
  ? T
  : S extends { parse: Parser<infer T> }
    ? T | undefined
    : never;

export type Values = { [Name in SettingName]: ValueOf<(typeof settings)[Name]> };
