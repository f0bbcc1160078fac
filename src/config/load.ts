/**
 * The configuration: environment, then application.properties, then defaults, read once at start into one frozen value. Every problem is
 * found before anything is said, and all are reported together. `process.env` is read here alone.
 */
import { resolve } from "node:path";
import { hasMasterKeyInMemory, isFault, refusedTogether, tlsProblems, warningsOf } from "./checks.ts";
import type { Config, SettledConfig } from "./config.ts";
import { leftBehind, placesOfKeys, settingsFor } from "./default-keys.ts";
import { type Notice, type NoticeCode, notice } from "../notices.ts";
import { type Launch, launchOf, launchProblems, launchWarnings } from "./launch.ts";
import { type OtlpSettings, otlpSettings } from "./otlp.ts";
import { ConfigError, type Problem } from "./problem.ts";
import { type Properties, readProperties, repeatedProperties, unknownProperties } from "./properties.ts";
import { type ProviderKeysFile, readProviderKeysFile } from "./provider-keys-file.ts";
import { type ProviderValues, providerOf } from "./provider-settings.ts";
import {
  otherName,
  type ProviderSettingName,
  providerPrefixes,
  type SettingName,
  settingNames,
  type Values,
} from "./known-settings.ts";
import { strangerBounds } from "../limits/connection-settings.ts";
import { removedSettings, removedWarnings } from "./removed-settings.ts";
import { type Environment, isGiven, isInFile, readValues } from "./sources.ts";
import { declaredProviderKeys, isTenantKeyName, strangeNames } from "./tenants.ts";
import { unknownVariables } from "./unknown-variables.ts";
import { filesIn } from "../store/directory/layout.ts";
import type { StoreSettings } from "../store/registry.ts";

export interface ConfigSources {
  env?: Environment;
  /** Must exist. Without it, `application.properties` in `cwd` is read where there is one. */
  file?: string | undefined;
  /** Relative paths start here. */
  cwd?: string;
  launch?: Launch;
  /** Finds what is wrong with files that the settings name and that are read elsewhere: told with all else. */
  elsewhere?(settled: SettledConfig): readonly Problem[];
}

/** Throws a ConfigError that lists every problem. */
export function loadConfig({
  env = process.env,
  file,
  cwd = process.cwd(),
  launch = launchOf(env),
  elsewhere = () => [],
}: ConfigSources = {}): Config {
  const problems: Problem[] = [];
  const absolute = (path: string) => resolve(cwd, path);
  const properties = openProperties(
    absolute(file ?? "application.properties"),
    { optional: file === undefined, wrongIn: (read) => unknownProperties(read, isNoMistake) },
    problems,
  );
  const sources = { env, properties, problems };
  const read = readValues(sources);
  const given = (name: string) => isGiven(sources, name, read["fluo.kms.profile"]);
  const placeOfKeys = placesOfKeys.find(given);
  const directory = filesIn(absolute(read["fluo.kms.data-directory"]));
  const values = placeOfKeys === undefined ? { ...read, ...settingsFor(directory) } : read;
  const telemetry = otlpSettings(env);
  const tenantsFile = values["fluo.kms.tenants.file"];
  const ofTenants =
    tenantsFile === undefined
      ? undefined
      : openProperties(absolute(tenantsFile), { optional: false, wrongIn: strangeNames }, problems);
  const keysFile = values["fluo.kms.provider-keys.file"];
  const named = keysFile === undefined ? undefined : readProviderKeysFile(absolute(keysFile), problems);
  const second = settingNames.find((name) => name.startsWith(otherName("")) && !name.endsWith(pinName) && given(name));
  if (named?.other !== undefined && second !== undefined) {
    problems.push({ name: named.other.origin, description: `is set, and so is ${second}; say it in one place` });
  }
  const files = [properties, ofTenants, named?.properties].filter((each) => each !== undefined);
  const settled = {
    ...settle({ values, otlp: telemetry.otlp, absolute, problems, env, files, other: named?.other }),
    dataDirectory: placeOfKeys === undefined ? directory : undefined,
  };
  if (settled.profile === "prod") problems.push(...launchProblems(launch));
  problems.push(...refusedTogether(settled));
  problems.push(...tlsProblems(values["fluo.kms.tls.certificate"], values["fluo.kms.tls.key"], absolute));
  problems.push(...elsewhere(settled));
  if (!given("fluo.kms.sqlite.file")) problems.push(...leftBehind(settled, directory));
  if (settled.store.name === "postgres" && !given("fluo.kms.postgres.url")) problems.push(missingUrl);
  const unknown = unknownVariables(
    env,
    [...settled.tenantProviderKeys.providerKeys.keys(), named?.other?.name ?? []].flat(),
  );
  const repeated = files.flatMap(repeatedProperties);
  if (problems.length > 0) throw new ConfigError([...problems, ...unknown, ...repeated]);
  const idle = [
    ...(placeOfKeys !== undefined && given("fluo.kms.data-directory")
      ? [withoutEffect("fluo.kms.data-directory", ` beside ${placeOfKeys}`)]
      : []),
    ...otherProviders(settled)
      .filter((name) => isInFile(sources, name, settled.profile))
      .map((name) => withoutEffect(name, ` with provider ${settled.provider.name}`)),
    ...otherStores(settled.store)
      .filter(given)
      .map((name) => withoutEffect(name, ` with store ${settled.store.name}`)),
    ...([settled.provider, settled.otherProvider].some((each) => each?.name === "aws")
      ? sdkEndpoints.filter((name) => env[name]).map((name) => withoutEffect(name, ": set aws.kms.endpoint"))
      : []),
  ];
  const warnings = [
    ...launchWarnings(launch),
    ...warningsOf(settled),
    ...unknown.map((each) => slip("UNKNOWN_VARIABLE", each)),
    ...repeated.map((each) => slip("SETTING_REPEATED", each)),
    ...removedWarnings(env, properties, settled.profile),
    ...telemetry.warnings,
    ...idle,
  ];
  return deepFreeze({ ...settled, warnings, faults: warnings.filter(isFault) });
}

/** The subject is the name alone, without where it stands. */
function slip(code: NoticeCode, { name, description }: Problem): Notice {
  return notice(code, `${name} ${description}${description.endsWith("?") ? "" : "."}`, name.split(" (")[0]);
}

/** Whether a name in the file is none of the known settings, and yet no mistake. */
function isNoMistake(name: string): boolean {
  return isTenantKeyName(name) || Object.hasOwn(removedSettings, name);
}

function withoutEffect(name: string, why: string): Notice {
  return notice("SETTING_IGNORED", `${name} has no effect${why}.`, name);
}

/** `wrongIn` finds the names that do not belong there. */
function openProperties(
  path: string,
  { optional, wrongIn }: { optional: boolean; wrongIn: (read: Properties) => Problem[] },
  problems: Problem[],
): Properties | undefined {
  const read = readProperties(path, optional);
  if (read === undefined) return undefined;
  if ("description" in read) {
    problems.push(read);
    return undefined;
  }
  problems.push(...wrongIn(read));
  return read;
}

/** A key that was just made need not be made again. */
const standardMinAgeMs = 60_000;
/** Validate and VerifyAudit cost much, and say the same a moment later. */
export const checksEveryMs = 10_000;

/** A second; somebody that guesses has no use for more. */
export const standardFailures = 10;

interface Found {
  values: Values;
  otlp: OtlpSettings;
  absolute: (path: string) => string;
  problems: Problem[];
  env: Environment;
  files: readonly Properties[];
  /** The second provider key, if the file of provider keys names it. */
  other: ProviderKeysFile["other"];
}

function settle({
  values,
  otlp,
  absolute,
  problems,
  env,
  files,
  other: named,
}: Found): Omit<SettledConfig, "dataDirectory"> {
  const [certificate, key] = [values["fluo.kms.tls.certificate"], values["fluo.kms.tls.key"]];
  const policyFile = values["fluo.kms.policy.file"];
  const isPolicy = values["fluo.kms.auth"] === "policy";
  const groupReadable = values["fluo.kms.files.group-readable"];
  const found = { absolute, problems, groupReadable };
  const provider = providerOf(values["fluo.kms.provider"], {
    ...found,
    named: (name) => name,
    value: (name) => values[name],
  });
  const store = storeSettings(values, hasMasterKeyInMemory(provider) ? "memory" : "sqlite", absolute);
  const other = values["fluo.kms.other.provider"];
  const value = (name: ProviderSettingName) => values[otherName(name)];
  const { other: declared, ...ofTenants } = declaredProviderKeys({
    ...found,
    env,
    files,
    other: named,
    profile: values["fluo.kms.profile"],
    own: provider,
  });
  const keyFiles = [values["fluo.kms.tenants.file"], values["fluo.kms.provider-keys.file"]];
  return {
    profile: values["fluo.kms.profile"],
    host: values["fluo.kms.host"],
    grpcPort: values["fluo.kms.grpc.port"],
    httpPort: values["fluo.kms.http.port"],
    localSocket: optionalPath(values["fluo.kms.local-socket"], absolute),
    provider,
    otherProvider:
      other === undefined
        ? declared
        : providerOf(other, { ...found, named: otherName, value: value as ProviderValues }),
    tenantProviderKeys: ofTenants,
    tenantKeyFiles: keyFiles.filter((each) => each !== undefined).map(absolute),
    hasTenantProviderKeys: keyFiles.some((each) => each !== undefined) || ofTenants.providerKeys.size > 0,
    storeKeyPin: storeKeyPin(values, problems),
    store,
    heads: {
      file: headsFile(values, absolute),
      required: values["fluo.kms.audit.heads-file.required"],
    },
    backupIntervalMs: store.name === "memory" ? 0 : values["fluo.kms.backup.interval"],
    plannedBackups: plannedBackups(values, absolute),
    auth: values["fluo.kms.auth"],
    policyFile: policyFile && absolute(policyFile),
    open: values["fluo.kms.open"],
    connectionMaxAgeMs: values["fluo.kms.connection.max-age"],
    connections: connectionSettings(values),
    tlsTerminated: values["fluo.kms.tls.terminated"],
    httpClientCertificates: values["fluo.kms.http.client-certificates"],
    proxies: proxiesIn(env),
    allowedOrigins: values["fluo.kms.http.allowed-origins"] ?? [],
    issuer: values["fluo.kms.issuer"],
    tls: certificate && key ? { certificate: absolute(certificate), key: absolute(key) } : undefined,
    threads: values["fluo.kms.threads"],
    shutdownDelayMs: values["fluo.kms.shutdown.delay"],
    shutdownGraceMs: values["fluo.kms.shutdown.grace"],
    logLevel: values["fluo.kms.log.level"],
    cache: {
      ttlMs: values["kms.cache.ttl"],
      maxEntries: values["kms.cache.max-entries"],
      maxStaleMs: values["kms.cache.max-stale"],
      warm: values["kms.cache.warm"] ?? [],
    },
    providerCheckMs: values["kms.provider.check-interval"],
    cost: {
      per10000Calls: values["kms.cost.per-10000-calls"],
      perKeyMonth: values["kms.cost.per-key-month"],
      charged: provider.name === "gcp" ? "cryptographic" : "all",
      currency: values["kms.cost.currency"],
    },
    rotation: {
      enabled: values["kms.rotation.enabled"],
      checkCron: values["kms.rotation.check-cron"],
      maxAgeDays: values["kms.rotation.max-age-days"],
      maxPerSecond: values["kms.rotation.max-per-second"],
      minAgeMs: values["kms.rotation.min-age"] ?? (isPolicy ? standardMinAgeMs : 0),
    },
    limits: isPolicy ? limitsOf(values) : noLimits,
    telemetry: { otlp },
  };
}

const noLimits: Config["limits"] = {
  callsPerSecond: 0,
  tenantCallsPerSecond: 0,
  failuresPerSecond: 0,
  newTenantsPerSecond: 0,
  checksEveryMs: 0,
};

function limitsOf(values: Values): Config["limits"] {
  return {
    callsPerSecond: values["fluo.kms.limit.caller"],
    tenantCallsPerSecond: values["fluo.kms.limit.tenant"],
    failuresPerSecond: failuresOf(values),
    newTenantsPerSecond: values["fluo.kms.limit.new-tenants"],
    checksEveryMs,
  };
}

function plannedBackups(values: Values, absolute: (path: string) => string): SettledConfig["plannedBackups"] {
  const directory = values["fluo.kms.backup.directory"];
  return {
    cron: values["fluo.kms.backup.cron"],
    directory: directory && absolute(directory),
    keep: values["fluo.kms.backup.keep"],
  };
}

/** A proxy before the service is the one address that all callers have. */
function failuresOf(values: Values): number {
  return values["fluo.kms.limit.failures"] ?? (values["fluo.kms.tls.terminated"] ? 0 : standardFailures);
}

function connectionSettings(values: Values): SettledConfig["connections"] {
  return {
    max: values["fluo.kms.connection.max"],
    maxPerAddress: values["fluo.kms.connection.max-per-address"],
    idleMs: values["fluo.kms.connection.idle"],
    byAddress: !values["fluo.kms.tls.terminated"],
    ...strangerBounds,
  };
}

const proxyNames = ["NODE_USE_ENV_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

/** Variables by which Node's agents find proxies. */
export function proxiesIn(env: Environment = process.env): Record<string, string> {
  const names = [...proxyNames, ...proxyNames.map((name) => name.toLowerCase())];
  return Object.fromEntries(names.filter((name) => env[name]).map((name) => [name, env[name]!]));
}

const pinName = "azure.store-key-fingerprint";

/** There is one store, and so one pin, whichever of two provider keys it is written for. */
function storeKeyPin(values: Values, problems: Problem[]): string | undefined {
  const [pin, other] = [values[pinName], values[otherName(pinName)]];
  if (pin !== undefined && other !== undefined && pin !== other) {
    problems.push({
      name: otherName(pinName),
      description: `is another than ${pinName}; there is one store key: set one`,
    });
  }
  return pin ?? other;
}

/** Names of settings of providers that are not chosen, but for the pin, which counts under any. */
function otherProviders({ provider, otherProvider }: SettledConfig): SettingName[] {
  const idle = Object.entries(providerPrefixes).flatMap(([name, prefix]) => [
    ...(name === provider.name ? [] : [prefix]),
    ...(name === otherProvider?.name ? [] : [otherName(prefix)]),
  ]);
  return settingNames.filter((name) => !name.endsWith(pinName) && idle.some((prefix) => name.startsWith(prefix)));
}

type StoreName = StoreSettings["name"];

function headsFile(values: Values, absolute: (path: string) => string): string | undefined {
  return optionalPath(values["fluo.kms.audit.heads-file"], absolute);
}

function optionalPath(file: string | undefined, absolute: (path: string) => string): string | undefined {
  return file === undefined ? undefined : absolute(file);
}

/** A store is a line here, and one for the names of its settings, as it is in store/registry.ts. */
function storeSettings(values: Values, standard: StoreName, absolute: (path: string) => string): StoreSettings {
  const settingsOf: { [Name in StoreName]: () => Extract<StoreSettings, { name: Name }> } = {
    memory: () => ({ name: "memory" }),
    sqlite: () => ({
      name: "sqlite",
      file: absolute(values["fluo.kms.sqlite.file"]),
      headsFile: headsFile(values, absolute),
      ...(values["fluo.kms.files.group-readable"] && { groupReadable: true }),
      maxLogBytes: values["fluo.kms.sqlite.max-log"],
      migrate: values["fluo.kms.store.migrate"],
    }),
    postgres: () => ({
      name: "postgres",
      url: values["fluo.kms.postgres.url"] ?? "",
      passwordFile: optionalPath(values["fluo.kms.postgres.password-file"], absolute),
      ca: optionalPath(values["fluo.kms.postgres.ca"], absolute),
      maxConnections: values["fluo.kms.postgres.max-connections"],
      migrate: values["fluo.kms.store.migrate"],
    }),
  };
  return settingsOf[values["fluo.kms.store"] ?? standard]();
}

const storeNames: Readonly<Record<StoreName, readonly SettingName[]>> = {
  memory: [],
  sqlite: [
    "fluo.kms.store.migrate",
    "fluo.kms.sqlite.file",
    "fluo.kms.sqlite.max-log",
    "fluo.kms.audit.heads-file",
    "fluo.kms.backup.interval",
    "fluo.kms.backup.keep", // the other two are refused
  ] as SettingName[],
  postgres: [
    "fluo.kms.store.migrate",
    "fluo.kms.postgres.url",
    "fluo.kms.postgres.password-file",
    "fluo.kms.postgres.ca",
    "fluo.kms.postgres.max-connections",
    "fluo.kms.audit.heads-file",
    "fluo.kms.audit.heads-file.required",
    "fluo.kms.backup.interval",
  ],
};

function otherStores({ name }: StoreSettings): SettingName[] {
  const others = new Set(Object.values(storeNames).flat());
  return [...others].filter((each) => !storeNames[name].includes(each));
}

/** Variables of the AWS SDK that are not listened to, as one of them would hold for every Region, and might not be https. */
const sdkEndpoints = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"] as const;

const missingUrl: Problem = {
  name: "fluo.kms.postgres.url",
  description:
    "is missing, and fluo.kms.store is postgres; set it to postgres://user:password@host:5432/database, best in the environment",
};

function deepFreeze<T extends object>(value: T): T {
  for (const member of Object.values(value)) if (typeof member === "object" && member !== null) deepFreeze(member);
  return Object.freeze(value);
}
