/** What settings mean together: combinations that are refused, and those that an operator must know of. */
import { readFileSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { Config, SettledConfig } from "./config.ts";
import { nearestName } from "../encoding/nearest.ts";
import { isLoopback } from "../runtime/loopback.ts";
import { type Notice, type NoticeCode, notice } from "../notices.ts";
import { type ProviderSettings, realmOf } from "../provider/registry.ts";
import { postgresProblems } from "./postgres-checks.ts";
import type { Problem } from "./problem.ts";
import { inFamily, otherName } from "./known-settings.ts";
import { keysPrefix } from "./tenants.ts";

/** Combinations that are refused. */
export function refusedTogether(config: SettledConfig): Problem[] {
  const { profile, grpcPort, httpPort, provider, otherProvider, tenantProviderKeys, store, heads, issuer } = config;
  const problems: Problem[] = [];
  const refuse = (name: string, description: string) => problems.push({ name, description });
  problems.push(...authProblems(config));
  problems.push(...postgresProblems(config));
  if (profile === "prod") problems.push(...openSecrets(config));
  if (grpcPort === httpPort && grpcPort !== 0) {
    refuse("fluo.kms.http.port", `is ${httpPort}, as is fluo.kms.grpc.port; use two different ports`);
  }
  for (const [name, url] of serversOf(config)) {
    if (profile === "prod" && isInTheClear(url)) {
      refuse(name, `${url} is not https, and keys would cross the network in the clear; use https`);
    }
  }
  problems.push(...backupProblems(config));
  if (heads.required && heads.file === undefined && store.name === "postgres") {
    refuse(
      "fluo.kms.audit.heads-file",
      "is missing, and fluo.kms.audit.heads-file.required is true; set a file of this replica's own, on a disk that stays",
    );
  }
  if (otherProvider !== undefined && hasMasterKeyInMemory(otherProvider)) {
    refuse(
      otherName("fluo.kms.local.master-key-file"),
      "is missing; a master key in memory has wrapped nothing that is here",
    );
  }
  for (const [name, settings] of tenantProviderKeys.providerKeys) {
    const named = (setting: string) => inFamily(`${keysPrefix}${name}`, setting);
    if (hasMasterKeyInMemory(settings)) {
      refuse(named("fluo.kms.local.master-key-file"), "is missing; a master key in memory would be lost on restart");
    } else if (profile === "prod" && settings.name === "local") {
      refuse(
        named("provider"),
        "local is for development; in profile prod use a provider whose master key is elsewhere",
      );
    }
  }
  problems.push(...sameNames(config));
  if (profile === "prod" && provider.name === "local") {
    refuse(
      "fluo.kms.provider",
      "local is for development; in profile prod use a provider whose master key is elsewhere",
    );
  }
  if (profile === "prod" && issuer === "localhost") {
    refuse("fluo.kms.issuer", "must be set in profile prod, to the name that verifiers know this service by");
  }
  if (store.name !== "memory" && hasMasterKeyInMemory(provider)) {
    const found = `${store.name} outlives a restart and the local master key in memory does not: no key in it could be opened`;
    refuse("fluo.kms.store", `${found}; set fluo.kms.local.master-key-file`);
  }
  return problems;
}

/** Backups by the service itself are for one process that has the file beside it. */
function backupProblems({ plannedBackups: { cron, directory }, store }: SettledConfig): Problem[] {
  if (cron === undefined && directory === undefined) return [];
  const [name, other] =
    cron === undefined
      ? ["fluo.kms.backup.directory", "fluo.kms.backup.cron"]
      : ["fluo.kms.backup.cron", "fluo.kms.backup.directory"];
  if (store.name === "memory") {
    return [{ name, description: "is set, and the store memory ends with its process; set fluo.kms.store=sqlite" }];
  }
  if (store.name !== "sqlite") {
    const instead =
      "run fluo-kms backup --directory DIR --keep N by a timer or a CronJob, and set fluo.kms.backup.interval";
    return [{ name, description: `is for the store sqlite, and fluo.kms.store is ${store.name}; ${instead}` }];
  }
  if (cron !== undefined && directory !== undefined) return [];
  return [{ name: other, description: `is missing, and ${name} is set; set both, or neither` }];
}

/** Who may connect, and whether anybody can read along. */
function authProblems({ profile, host, auth, policyFile, tls, tlsTerminated }: SettledConfig): Problem[] {
  const problems: Problem[] = [];
  const refuse = (name: string, description: string) => problems.push({ name, description });
  const isReached = !isLoopback(host);
  if (auth === "none" && isReached) {
    refuse(
      "fluo.kms.host",
      `${host} is not a loopback address, and with fluo.kms.auth=none whoever reaches it may use every key; set fluo.kms.auth=policy, or use 127.0.0.1`,
    );
  }
  if (auth === "none" && profile === "prod") {
    refuse(
      "fluo.kms.auth",
      "none lets everybody on this machine use every key; in profile prod set policy, with a file that fluo-kms policy new writes",
    );
  }
  if (auth === "none" && policyFile !== undefined)
    refuse("fluo.kms.policy.file", "is set, and fluo.kms.auth is none; set policy");
  if (auth === "policy" && policyFile === undefined) {
    refuse("fluo.kms.policy.file", "is missing, and fluo.kms.auth is policy; fluo-kms policy new writes a first one");
  }
  if (auth === "policy" && isReached && tls === undefined && !tlsTerminated) {
    refuse(
      "fluo.kms.tls.certificate",
      `is missing, and ${host} is not a loopback address: tokens would cross the network in the clear; set it and fluo.kms.tls.key, or fluo.kms.tls.terminated=true where a proxy in the same pod speaks TLS`,
    );
  }
  if (tls !== undefined && tlsTerminated) {
    refuse("fluo.kms.tls.terminated", "is true, and fluo.kms.tls.certificate is set; one of the two speaks TLS");
  }
  return problems;
}

/** Keys of tenants that records could not tell from others, as far as the settings show it: see provider-keys/names.ts. */
function sameNames({ provider, otherProvider, tenantProviderKeys }: ProvidersOfConfig): Problem[] {
  const problems: Problem[] = [];
  const found = new Map<string, { settings: ProviderSettings; as: string }>();
  for (const settings of [provider, ...(otherProvider === undefined ? [] : [otherProvider])]) {
    found.set(writtenName(settings), { settings, as: "the service's own" });
  }
  for (const [name, settings] of tenantProviderKeys.providerKeys) {
    const other = found.get(writtenName(settings));
    if (other === undefined) found.set(writtenName(settings), { settings, as: `provider key ${name}` });
    else if (realmOf(other.settings) !== realmOf(settings) && !isKeyless(settings)) {
      const [, ...key] = writtenName(settings).split(" ");
      const description = `its key has the same name as one at another place, ${other.as}: ${key.join(" ")}; records name a key by that alone, so give it another, as by another mount of transit`;
      problems.push({ name: `${keysPrefix}${name}`, description });
    }
  }
  return problems;
}

/** A problem of its own. */
function isKeyless(settings: ProviderSettings): boolean {
  return "key" in settings && settings.key === "";
}

function writtenName(settings: ProviderSettings): string {
  switch (settings.name) {
    case "aws":
      return `aws ${settings.places.map(({ masterKeyId, region = "" }) => `${region} ${masterKeyId}`).join(" ")}`;
    case "vault":
      return `vault ${settings.namespace ?? ""} ${settings.mount}/keys/${settings.key}`;
    case "local":
      return `local ${settings.masterKeyFile}`;
    default:
      return `${settings.name} ${settings.key}`;
  }
}

/** Both files or none; both readable, PEM, and of one key pair, so that a bad one is found now and not at the first handshake. */
export function tlsProblems(
  certificate: string | undefined,
  key: string | undefined,
  absolute: (path: string) => string,
): Problem[] {
  if (certificate === undefined && key === undefined) return [];
  if (certificate === undefined)
    return [{ name: "fluo.kms.tls.certificate", description: missing("fluo.kms.tls.key") }];
  if (key === undefined) return [{ name: "fluo.kms.tls.key", description: missing("fluo.kms.tls.certificate") }];
  const files = [
    { name: "fluo.kms.tls.certificate", file: absolute(certificate) },
    { name: "fluo.kms.tls.key", file: absolute(key) },
  ].map(({ name, file }) => readOrProblem(name, file));
  const problems = files.filter((file) => !Buffer.isBuffer(file)) as Problem[];
  if (problems.length > 0) return problems;
  try {
    createSecureContext({ cert: files[0] as Buffer, key: files[1] as Buffer });
    return [];
  } catch {
    const description = `and the key in ${key} must be PEM, without a passphrase, and belong together`;
    return [{ name: "fluo.kms.tls.certificate", description: `the certificate in ${certificate} ${description}` }];
  }
}

const others = 0o004;

/** Files with a secret that others may read, whatever the group's rights are. */
function openSecrets({ tls, store }: SettledConfig): Problem[] {
  if (process.platform === "win32") return [];
  const named = [
    ["fluo.kms.tls.key", tls?.key],
    ["fluo.kms.postgres.password-file", store.name === "postgres" ? store.passwordFile : undefined],
  ] as const;
  return named.flatMap(([name, file]) => {
    const { mode = 0 } = (file && statSync(file, { throwIfNoEntry: false })) || {};
    if ((mode & others) === 0) return [];
    const description = `${file} can be read by every user of this machine; chmod o= it, or mount a Kubernetes Secret with defaultMode: 0440 and a fsGroup`;
    return [{ name, description }];
  });
}

/** What a service on a developer's machine is meant to be. */
const development = {
  KEY_IN_MEMORY: "The local master key is in memory: all keys, and what is encrypted under them, are lost on restart.",
  KEY_BESIDE_STORE:
    "The local master key lies beside the store, in the data directory: whoever copies that has all keys. Set fluo.kms.provider for production.",
  STORE_IN_MEMORY:
    "The store is in memory: key records are lost on restart, and what is encrypted under them cannot be decrypted.",
  NO_AUTHENTICATION: "Authentication is none: whoever can connect has every role and may name any tenant.",
} as const satisfies Partial<Record<NoticeCode, string>>;

function forDevelopment(code: keyof typeof development): Notice {
  return notice(code, development[code]);
}

/** Whether a warning says that something is wrong with the configuration, and not what it is for. */
export function isFault({ code }: Notice): boolean {
  return code !== "NODE_MISREADS_NAMES" && !Object.hasOwn(development, code);
}

/** Warnings to the operator about a configuration that is accepted. */
export function warningsOf(config: SettledConfig): Notice[] {
  const { provider, otherProvider, tenantProviderKeys, store, auth } = config;
  const warnings = serversOf(config)
    .filter(([, url]) => isInTheClear(url))
    .map(([name, url]) =>
      notice("SERVER_IN_THE_CLEAR", `${name} ${url} is not https: keys cross the network in the clear.`, name),
    );
  const challenge = "azure.verify-challenge-resource";
  for (const [name, each] of [
    [challenge, provider] as const,
    [otherName(challenge), otherProvider] as const,
    ...[...tenantProviderKeys.providerKeys].map(
      ([key, each]) => [inFamily(`${keysPrefix}${key}`, challenge), each] as const,
    ),
  ]) {
    if (each?.name !== "azure" || each.verifyChallengeResource) continue;
    const { host } = new URL(each.key);
    const text = `${name} is false: whoever speaks TLS in the name of ${host} is given a token.`;
    warnings.push(notice("SERVER_UNVERIFIED", text, name));
  }
  if (hasMasterKeyInMemory(provider)) {
    warnings.push(forDevelopment("KEY_IN_MEMORY"));
  } else if (config.dataDirectory !== undefined) {
    warnings.push(forDevelopment("KEY_BESIDE_STORE"));
  } else if (store.name === "memory") {
    warnings.push(forDevelopment("STORE_IN_MEMORY"));
  }
  if (auth === "none") warnings.push(forDevelopment("NO_AUTHENTICATION"));
  if (config.profile !== "prod") {
    if (nearestName(config.profile, ["prod"]) !== undefined) {
      const text = `fluo.kms.profile is ${config.profile}, and production is prod alone; did you mean prod?`;
      warnings.push(notice("PROFILE_MISSPELT", text, config.profile));
    }
    for (const { name, description } of openSecrets(config)) {
      warnings.push(notice("SECRET_READABLE", `${name} ${description}.`, name));
    }
  }
  if (config.tlsTerminated) {
    const text = "fluo.kms.tls.terminated is true: whoever reaches the service past its proxy reads tokens and keys.";
    warnings.push(notice("TLS_TERMINATED", text));
  }
  return warnings;
}

type Server = [name: string, url: string];

/** The servers that keys travel to and from, with the setting that names each. */
function serversOf({ provider, otherProvider, tenantProviderKeys }: ProvidersOfConfig): Server[] {
  const own = serversOfOne(provider);
  const others = otherProvider === undefined ? [] : serversOfOne(otherProvider);
  const ofTenants = [...tenantProviderKeys.providerKeys].flatMap(([key, settings]) =>
    serversOfOne(settings).map(([name, url]): Server => [inFamily(`${keysPrefix}${key}`, name), url]),
  );
  return [
    ...own,
    ...others.map(([name, url]): Server => [otherName(name), url]),
    ...ofTenants.filter(([, url]) => !own.some(([, known]) => known === url)),
  ];
}

type ProvidersOfConfig = Pick<Config, "provider" | "otherProvider" | "tenantProviderKeys">;

function serversOfOne(provider: ProviderSettings): Server[] {
  if (provider.name === "vault") return [["vault.addr", provider.addr]];
  if (provider.name === "gcp") return provider.endpoint === undefined ? [] : [["gcp.kms.endpoint", provider.endpoint]];
  if (provider.name !== "aws") return [];
  return provider.places.flatMap(({ endpoint }, index) =>
    endpoint === undefined ? [] : [[index === 0 ? "aws.kms.endpoint" : "aws.kms.failover", endpoint]],
  );
}

function isInTheClear(url: string): boolean {
  return url.startsWith("http:") && !isLoopback(new URL(url).hostname);
}

/** What it wrapped is lost on restart. */
export function hasMasterKeyInMemory(provider: ProviderSettings): boolean {
  return provider.name === "local" && provider.masterKeyFile === undefined;
}

function missing(other: string): string {
  return `is missing; ${other} is set, and each needs the other: set both, or none to serve without TLS`;
}

function readOrProblem(name: string, file: string): Buffer | Problem {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { name, description: `${file} cannot be read (${code}); give the path of a readable PEM file` };
  }
}
