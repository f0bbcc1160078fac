/** The configuration as the service takes it: one frozen value, which load.ts reads. */
import type { ConnectionSettings } from "../limits/connection-settings.ts";
import type { Notice } from "../notices.ts";
import type { TenantProviderKeySettings } from "../provider-keys/settings.ts";
import type { ProviderSettings } from "../provider/registry.ts";
import type { DataDirectory } from "../store/directory/layout.ts";
import type { HeadsSettings } from "../store/heads/place.ts";
import type { StoreSettings } from "../store/registry.ts";
import type { Values } from "./known-settings.ts";
import type { OtlpSettings } from "./otlp.ts";

/** All but the remarks on it. */
export type SettledConfig = Omit<Config, "warnings" | "faults">;

/** Times are milliseconds, paths absolute. */
export interface Config {
  /** `prod` is production. */
  readonly profile: string;
  readonly host: string;
  /** 0 for any that is free. */
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Path of the unix socket for operators beside the process. */
  readonly localSocket: string | undefined;
  readonly provider: ProviderSettings;
  /** A second provider key, which opens what it wrapped and wraps nothing. */
  readonly otherProvider: ProviderSettings | undefined;
  /** Provider keys of tenants that have one of their own. Read anew while the service runs. */
  readonly tenantProviderKeys: TenantProviderKeySettings;
  /** Their files, which are watched. */
  readonly tenantKeyFiles: readonly string[];
  /** Whether there are any, or a file for them. */
  readonly hasTenantProviderKeys: boolean;
  /** SHA-256 that the store key must have, whatever the provider: 64 lower-case hexadecimal digits. */
  readonly storeKeyPin: string | undefined;
  /** Where keys are if no setting says it. */
  readonly dataDirectory: DataDirectory | undefined;
  /** The URL of a database holds its password. */
  readonly store: StoreSettings;
  /** The heads file, which notes how far the store went. */
  readonly heads: HeadsSettings;
  /** How often a backup of the store is expected; 0 for never, and for a store in memory. */
  readonly backupIntervalMs: number;
  /** Backups that the service makes itself, with the store sqlite: both or neither of `cron` and `directory`. */
  readonly plannedBackups: {
    readonly cron: string | undefined;
    readonly directory: string | undefined;
    readonly keep: number;
  };
  readonly auth: Values["fluo.kms.auth"];
  /** With `policy`. */
  readonly policyFile: string | undefined;
  /** What is served to whoever reaches it, with `policy`. */
  readonly open: Values["fluo.kms.open"];
  /** Whether somebody before the service speaks TLS for it. */
  readonly tlsTerminated: boolean;
  /** Whether a client of HTTP/1.1 is asked for a certificate: browsers would ask their user. */
  readonly httpClientCertificates: boolean;
  /** Variables by which Node's agents find proxies. */
  readonly proxies: Readonly<Record<string, string>>;
  /** Age at which a connection is closed, with `policy`. */
  readonly connectionMaxAgeMs: number;
  readonly connections: ConnectionSettings;
  /** Sites whose pages may call. */
  readonly allowedOrigins: readonly string[];
  /** Origin of logs and issuer of public keys. */
  readonly issuer: string;
  /** PEM files. */
  readonly tls: { readonly certificate: string; readonly key: string } | undefined;
  /** Threads for batches of spans; see batch/pool/threads.ts without it. */
  readonly threads: number | undefined;
  /** How long both ports go on accepting, not ready any more, before the drain. */
  readonly shutdownDelayMs: number;
  readonly shutdownGraceMs: number;
  readonly logLevel: string;
  readonly cache: {
    readonly ttlMs: number;
    readonly maxEntries: number;
    readonly maxStaleMs: number;
    /** Tenants whose keys are loaded before the service is ready. */
    readonly warm: "recent" | readonly string[];
  };
  /** Between looks at the state of the provider's key. */
  readonly providerCheckMs: number;
  /** The provider's prices, for Status. */
  readonly cost: {
    readonly per10000Calls: number;
    readonly perKeyMonth: number;
    /** Whether looks at the state of a key are charged as well: Google charges none. */
    readonly charged: "all" | "cryptographic";
    readonly currency: string;
  };
  readonly rotation: {
    readonly enabled: boolean;
    /** A Quartz expression, UTC. */
    readonly checkCron: string;
    readonly maxAgeDays: number;
    /** Keys that the schedule rotates in a second. */
    readonly maxPerSecond: number;
    /** Age below which a key is not rotated, though that is forced. */
    readonly minAgeMs: number;
  };
  /** Limits for each caller; 0 for none, as everybody is one caller without a policy. */
  readonly limits: {
    /** Units a second of each caller, and of each tenant. */
    readonly callsPerSecond: number;
    readonly tenantCallsPerSecond: number;
    /** Failures to prove who calls, a second and network of addresses. */
    readonly failuresPerSecond: number;
    /** Tenants that it brings in a second. */
    readonly newTenantsPerSecond: number;
    /** Least time between two Validates, or two VerifyAudits. */
    readonly checksEveryMs: number;
  };
  readonly telemetry: { readonly otlp: OtlpSettings };
  /** What whoever runs this must know, a sentence each. */
  readonly warnings: readonly Notice[];
  /** Those of them that say that something is wrong, and not what this configuration is for. */
  readonly faults: readonly Notice[];
}
