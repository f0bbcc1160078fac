/** Every setting by name: how its value is read, and its default as it would be written. */
import { quartzCron } from "./cron.ts";
import {
  byteSize,
  awsFailover,
  awsKey,
  awsRegion,
  azureKey,
  choice,
  currencyCode,
  decimal,
  duration,
  directoryPath,
  filePath,
  gcpKey,
  host,
  httpUrl,
  issuerName,
  openPaths,
  origins,
  type Parser,
  plainName,
  postgresUrl,
  profileName,
  secret,
  secretFile,
  sha256,
  trueOrFalse,
  vaultPath,
  warmTenants,
  wholeNumber,
} from "./value.ts";

export interface Setting {
  parse: Parser<unknown>;
  /** The default, as text; a setting without one may be absent. */
  standard?: string;
}

/** Levels of the log, from the one that shows most. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

const port = wholeNumber(0, 65_535);
/** Beyond any price list: a number that big is a mistake. */
const price = decimal(1_000_000);
const providerName = choice(["local", "aws", "azure", "gcp", "vault"]);

/** What a provider needs to know. */
const ofProviders = {
  "fluo.kms.local.master-key-file": { parse: filePath },
  "aws.kms.master-key-id": { parse: awsKey },
  "aws.kms.region": { parse: awsRegion },
  "aws.kms.endpoint": { parse: httpUrl },
  "aws.kms.failover": { parse: awsFailover },
  "aws.kms.profile": { parse: plainName },
  // Credentials and authority are the SDK's own variables: AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_AUTHORITY_HOST and so on.
  "azure.key-vault.key": { parse: azureKey },
  "azure.cacert": { parse: filePath },
  "azure.instance-discovery": { parse: trueOrFalse, standard: "true" },
  "azure.verify-challenge-resource": { parse: trueOrFalse, standard: "true" },
  "azure.store-key-fingerprint": { parse: sha256 },
  "gcp.kms.key": { parse: gcpKey },
  "gcp.kms.endpoint": { parse: httpUrl },
  "gcp.kms.credentials-file": { parse: filePath },
  // As Vault's own tools have them in the environment: VAULT_ADDR, VAULT_NAMESPACE, VAULT_CACERT, VAULT_TOKEN.
  "vault.addr": { parse: httpUrl },
  "vault.namespace": { parse: vaultPath },
  "vault.cacert": { parse: filePath },
  "vault.transit.mount": { parse: vaultPath, standard: "transit" },
  "vault.transit.key": { parse: plainName },
  "vault.auth": { parse: choice(["token", "approle", "kubernetes"]), standard: "token" },
  "vault.token": { parse: secret },
  "vault.token-file": { parse: secretFile },
  "vault.approle.mount": { parse: vaultPath, standard: "approle" },
  "vault.approle.role-id": { parse: secret },
  "vault.approle.secret-id": { parse: secret },
  "vault.approle.secret-id-file": { parse: secretFile },
  "vault.kubernetes.mount": { parse: vaultPath, standard: "kubernetes" },
  "vault.kubernetes.role": { parse: plainName },
  "vault.kubernetes.token-file": {
    parse: secretFile,
    standard: "/var/run/secrets/kubernetes.io/serviceaccount/token",
  },
} as const satisfies Record<string, Setting>;

export const settings = {
  "fluo.kms.profile": { parse: profileName, standard: "dev" },
  "fluo.kms.provider": { parse: providerName, standard: "local" },
  ...ofProviders,
  // Depends on the provider if it is not given: see load.ts.
  "fluo.kms.store": { parse: choice(["memory", "sqlite", "postgres"]) },
  // Counts where nothing else says where keys are: see default-keys.ts.
  "fluo.kms.data-directory": { parse: directoryPath, standard: "fluo-kms-data" },
  "fluo.kms.store.migrate": { parse: choice(["auto", "never"]), standard: "auto" },
  "fluo.kms.sqlite.file": { parse: filePath, standard: "fluo-kms.db" },
  // What is kept of one that grew: with less, somebody would be told of that.
  "fluo.kms.sqlite.max-log": { parse: byteSize(8), standard: "1GiB" },
  "fluo.kms.postgres.url": { parse: postgresUrl },
  "fluo.kms.postgres.password-file": { parse: secretFile },
  "fluo.kms.postgres.ca": { parse: filePath },
  "fluo.kms.postgres.max-connections": { parse: wholeNumber(1, 100), standard: "8" },
  // The default depends on the store, see store/heads/place.ts.
  "fluo.kms.audit.heads-file": { parse: filePath },
  "fluo.kms.audit.heads-file.required": { parse: trueOrFalse, standard: "false" },
  "fluo.kms.backup.cron": { parse: quartzCron },
  "fluo.kms.backup.directory": { parse: filePath },
  "fluo.kms.backup.keep": { parse: wholeNumber(1, 10_000), standard: "48" },
  "fluo.kms.backup.interval": { parse: duration("0s", "90d"), standard: "0s" },
  "fluo.kms.auth": { parse: choice(["none", "policy"]), standard: "none" },
  "fluo.kms.policy.file": { parse: filePath },
  "fluo.kms.open": { parse: openPaths, standard: "health" },
  "fluo.kms.connection.max-age": { parse: duration("1s", "7d"), standard: "1h" },
  "fluo.kms.connection.max": { parse: wholeNumber(1, 100_000), standard: "2000" },
  "fluo.kms.connection.max-per-address": { parse: wholeNumber(0, 100_000), standard: "0" },
  "fluo.kms.connection.idle": { parse: duration("1s", "7d"), standard: "15m" },
  "fluo.kms.limit.caller": { parse: wholeNumber(0, 9_999_999), standard: "0" },
  "fluo.kms.limit.tenant": { parse: wholeNumber(0, 9_999_999), standard: "0" },
  // Without a value it depends on fluo.kms.tls.terminated, see load.ts.
  "fluo.kms.limit.failures": { parse: wholeNumber(0, 10_000) },
  "fluo.kms.limit.new-tenants": { parse: wholeNumber(0, 10_000), standard: "10" },
  "fluo.kms.issuer": { parse: issuerName, standard: "localhost" },
  "fluo.kms.host": { parse: host, standard: "127.0.0.1" },
  // The file of tenants' provider keys, see provider-keys/tenant-provider-keys.ts, which knows the other names under fluo.kms.tenants.
  "fluo.kms.tenants.file": { parse: filePath },
  // Named provider keys, see provider-keys-file.ts.
  "fluo.kms.provider-keys.file": { parse: filePath },
  "fluo.kms.grpc.port": { parse: port, standard: "9000" },
  "fluo.kms.local-socket": { parse: filePath },
  "fluo.kms.http.port": { parse: port, standard: "8080" },
  "fluo.kms.tls.certificate": { parse: filePath },
  "fluo.kms.tls.key": { parse: filePath },
  "fluo.kms.tls.terminated": { parse: trueOrFalse, standard: "false" },
  "fluo.kms.http.client-certificates": { parse: trueOrFalse, standard: "true" },
  "fluo.kms.http.allowed-origins": { parse: origins },
  // Depends on the machine if it is not given: see batch/pool/threads.ts.
  "fluo.kms.threads": { parse: wholeNumber(1, 64) },
  "fluo.kms.files.group-readable": { parse: trueOrFalse, standard: "false" },
  "fluo.kms.shutdown.delay": { parse: duration("0s", "5m"), standard: "0s" },
  "fluo.kms.shutdown.grace": { parse: duration("0s", "1h"), standard: "20s" },
  "fluo.kms.log.level": {
    parse: choice(logLevels),
    standard: "info",
  },
  "kms.cache.ttl": { parse: duration("1s", "7d"), standard: "60m" },
  "kms.cache.max-entries": { parse: wholeNumber(1, 1_000_000), standard: "1000" },
  "kms.cache.max-stale": { parse: duration("0s", "7d"), standard: "4h" },
  "kms.cache.warm": { parse: warmTenants },
  "kms.provider.check-interval": { parse: duration("1s", "50s"), standard: "30s" },
  // What Status reckons with. The defaults are AWS's prices of a symmetric key: aws.amazon.com/kms/pricing
  "kms.cost.per-10000-calls": { parse: price, standard: "0.03" },
  "kms.cost.per-key-month": { parse: price, standard: "1" },
  "kms.cost.currency": { parse: currencyCode, standard: "USD" },
  "kms.rotation.enabled": { parse: trueOrFalse, standard: "true" },
  "kms.rotation.check-cron": { parse: quartzCron, standard: "0 0 2 * * ?" },
  "kms.rotation.max-age-days": { parse: wholeNumber(1, 3_650), standard: "90" },
  "kms.rotation.max-per-second": { parse: wholeNumber(1, 10_000), standard: "100" },
  // The default is 60s with `policy`, and 0s with `none`.
  "kms.rotation.min-age": { parse: duration("0s", "1d") },
} as const satisfies Record<string, Setting>;

/** The same for a second provider key, which opens what it wrapped and wraps nothing: `fluo.kms.other.` before a provider's name for it. */
const ofOther = Object.fromEntries(
  Object.entries(ofProviders).map(([name, setting]) => [otherName(name), setting]),
) as { [Name in keyof typeof ofProviders as OtherName<Name>]: (typeof ofProviders)[Name] };

type OtherName<Name extends string> = `fluo.kms.other.${Name extends `fluo.kms.${infer Own}` ? Own : Name}`;

/** `fluo.kms.other.aws.kms.region` for `aws.kms.region`, `fluo.kms.other.local.master-key-file` for the local one. */
export function otherName<Name extends string>(name: Name): OtherName<Name> {
  return inFamily("fluo.kms.other", name) as OtherName<Name>;
}

/** The name of a provider's setting among those of one provider key. */
export function inFamily(family: string, name: string): string {
  return `${family}.${name.replace(/^fluo\.kms\./, "")}`;
}

export const allSettings = {
  ...settings,
  "fluo.kms.other.provider": { parse: providerName },
  ...ofOther,
} as const satisfies Record<string, Setting>;

/** Settings that are secrets themselves: those have no place in a file of provider keys. */
export const secretSettings: readonly string[] = ["vault.token", "vault.approle.secret-id"];

/** Fields of a named provider key, by provider: its settings without `fluo.kms.`. The fingerprint is that of the store's own key. */
export function fieldsOf(provider: keyof typeof providerPrefixes): [field: string, setting: Setting][] {
  return Object.entries(ofProviders)
    .filter(([name]) => name.startsWith(providerPrefixes[provider]) && name !== "azure.store-key-fingerprint")
    .map(([name, setting]) => [name.replace(/^fluo\.kms\./, ""), setting]);
}

/** Names that a provider's settings begin with, for settings that are there and mean nothing to the one that is chosen. */
export const providerPrefixes = {
  local: "fluo.kms.local.",
  aws: "aws.kms.",
  azure: "azure.",
  gcp: "gcp.kms.",
  vault: "vault.",
} as const;

/** What is under these is ours: there, an unknown name is a mistake. */
export const prefixes: readonly string[] = ["fluo.kms.", "kms.", "aws.kms.", "vault.", "gcp.kms.", "azure."];

export type SettingName = keyof typeof allSettings;
export type ProviderSettingName = keyof typeof ofProviders;
export const settingNames = Object.keys(allSettings) as SettingName[];

type ValueOf<S> = S extends { parse: Parser<infer T>; standard: string }
  ? T
  : S extends { parse: Parser<infer T> }
    ? T | undefined
    : never;

export type Values = { [Name in SettingName]: ValueOf<(typeof allSettings)[Name]> };
