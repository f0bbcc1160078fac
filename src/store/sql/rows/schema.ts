/**
 * The tables, as steps from one schema version to the next. Replicas of two releases that follow each other use one store while it is
 * upgraded, so the release before must be able to work with what a step leaves:
 * - A step adds tables, and columns that may be null and stand in `laterColumns`. It changes no row, and reads no table that grows: replicas
 *   wait behind it.
 * - Only the release after fills what a step adds: the release before does not know that it is under an HMAC, and in a backup.
 * - Any other change of a table's rows is another form of them, see forms.ts.
 * Steps up to `firstRollingSchema` did more: releases before it were stopped for an upgrade.
 */
/** How a database spells what the two spell differently. */
export interface Dialect {
  bytes: string;
  integer: string;
  text: string;
  /** A growing number that the database gives. */
  serial: string;
  /** After the columns of a table. */
  tableEnd: string;
  /** Statement that gives `present`, not 0 where there is a table `kms_schema`. */
  hasSchema: string;
  /** Statement before the steps of a migration, which says how long they may wait for tables, while whoever is at work waits behind them. */
  impatience?: string;
  /** Statement that counts, as `sessions`, the connections to the store of releases before `firstRollingSchema`. */
  earlierSessions?: string;
  /** Statements after which the database itself refuses what only a service of an earlier version does, which may still run. */
  refuse(name: string, what: { before: string; when: string }): string[];
}

export const earlierVersion = "an earlier version of the service may not do this any more: stop it";

/** A migration is the statements that lead to the next version. */
export type Migration = (dialect: Dialect) => string[];

/** Dates are milliseconds since 1970. `mac` is over all other columns, see store/sql/rows/mac.ts. */
export const migrations: readonly Migration[] = [
  ({ bytes, integer, text, serial, tableEnd }) => [
    `create table kms_store (
      id ${integer} primary key check (id = 1), store_id ${text} not null, provider ${text} not null,
      provider_key_id ${text} not null, wrapped ${bytes} not null, created_at ${integer} not null, writers ${integer} not null,
      mac ${bytes} not null
    )${tableEnd}`,
    `create table kms_keys (
      key_id ${text} primary key, tenant_id ${text} not null, purpose ${text} not null, version ${integer} not null,
      state ${text} not null, provider ${text} not null, provider_key_id ${text} not null, wrapped ${bytes} not null,
      public_key ${bytes} not null, created_at ${integer} not null, activated_at ${integer}, retired_at ${integer},
      compromised_at ${integer}, destroy_at ${integer}, previous_state ${text}, mac ${bytes} not null
    )${tableEnd}`,
    "create unique index kms_keys_active on kms_keys (tenant_id, purpose) where state = 'ACTIVE'",
    "create unique index kms_keys_version on kms_keys (tenant_id, purpose, version) where version > 0",
    "create index kms_keys_due on kms_keys (activated_at) where state = 'ACTIVE'",
    "create index kms_keys_retired on kms_keys (retired_at)",
    "create index kms_keys_destroy on kms_keys (destroy_at) where state = 'DESTROY_SCHEDULED'",
    "create index kms_keys_pending on kms_keys (created_at) where state = 'PENDING'",
    "create index kms_keys_count on kms_keys (purpose, state)",
    `create table kms_requests (
      tenant_id ${text} not null, request_id ${text} not null, key_id ${text} not null, digest ${text} not null,
      retired_key_id ${text}, at ${integer} not null, mac ${bytes} not null,
      primary key (tenant_id, request_id, key_id)
    )${tableEnd}`,
    "create index kms_requests_at on kms_requests (at)",
    `create table kms_leases (
      name ${text} primary key, holder ${text} not null, generation ${integer} not null, expires_at ${integer} not null,
      finished_at ${integer}, mac ${bytes} not null
    )${tableEnd}`,
    `create table kms_audit_writers (
      writer_id ${text} primary key, sequence ${integer} not null, head ${bytes} not null, mac ${bytes} not null
    )${tableEnd}`,
    `create table kms_audit (
      id ${serial}, writer_id ${text} not null, sequence ${integer} not null, at ${integer} not null, actor ${text} not null,
      action ${text} not null, tenant_id ${text} not null, purpose ${text}, key_id ${text} not null, outcome ${text} not null,
      request_id ${text} not null, count ${integer} not null, mac ${bytes} not null,
      unique (writer_id, sequence)
    )${tableEnd}`,
    "create index kms_audit_tenant on kms_audit (tenant_id, id)",
    "create index kms_audit_key on kms_audit (key_id, id) where key_id <> ''",
    `create index kms_audit_births on kms_audit (tenant_id, purpose, key_id)
      where action in ('create', 'rotate') and outcome = 'OK'`,
  ],
  // Keys are listed and counted by state, in the order of a listing. PENDING ones are neither, and have their own index.
  () => [
    "drop index kms_keys_count",
    "create index kms_keys_state on kms_keys (state, tenant_id, purpose, version) where version > 0",
    "drop index kms_keys_due",
    "create index kms_keys_due on kms_keys (activated_at, purpose) where state = 'ACTIVE'",
  ],
  // Keys that are to be moved under another provider key are found, and counted, by the one that wrapped them.
  () => [
    "create index kms_keys_wrapped on kms_keys (provider, provider_key_id, key_id, state) where state <> 'DESTROYED'",
  ],
  // The logs of spans. What a log is made of comes in pieces as it is written, each within one tile of 256, and is never touched again.
  // Who makes a log looks when the store was last restored.
  ({ bytes, integer, text, tableEnd }) => [
    `create table kms_logs (
      tenant_id ${text} not null, number ${integer} not null, origin ${text} not null, size ${integer} not null,
      root ${bytes} not null, frontier ${bytes} not null, state ${text} not null, created_at ${integer} not null,
      changed_at ${integer} not null, mac ${bytes} not null, primary key (tenant_id, number)
    )${tableEnd}`,
    `create table kms_log_entries (
      tenant_id ${text} not null, number ${integer} not null, start ${integer} not null, data ${bytes} not null,
      primary key (tenant_id, number, start)
    )${tableEnd}`,
    `create table kms_log_hashes (
      tenant_id ${text} not null, number ${integer} not null, level ${integer} not null, start ${integer} not null,
      data ${bytes} not null, primary key (tenant_id, number, level, start)
    )${tableEnd}`,
    `create table kms_log_requests (
      tenant_id ${text} not null, number ${integer} not null, request_id ${text} not null, digest ${text} not null,
      first_index ${integer} not null, count ${integer} not null, signed_at ${integer} not null, mac ${bytes} not null,
      primary key (tenant_id, number, request_id)
    )${tableEnd}`,
    "create index kms_log_requests_at on kms_log_requests (signed_at)",
    "create index kms_audit_restores on kms_audit (at) where action = 'restore'",
    `create table kms_log_handovers (
      tenant_id ${text} not null, number ${integer} not null, entry_index ${integer} not null, from_key_id ${text} not null,
      to_key_id ${text} not null, entry ${bytes} not null, proof ${text} not null, mac ${bytes} not null,
      primary key (tenant_id, number, entry_index)
    )${tableEnd}`,
    `create table kms_log_compromises (
      tenant_id ${text} not null, key_id ${text} not null, number ${integer} not null, origin ${text} not null,
      size ${integer} not null, root ${bytes} not null, mac ${bytes} not null, primary key (tenant_id, key_id)
    )${tableEnd}`,
  ],
  // Entries are kept as runs, see tlog/entry-run.ts. Older services cannot read them.
  () => [],
  // Which rule let a caller do what an audit row tells of; and who wants a key destroyed where that takes two. Tables are altered in the order
  // in which transactions take them: a replica that is at work and a migration never wait for each other.
  ({ integer, text }) => [
    `alter table kms_keys add column destroy_by ${text}`,
    `alter table kms_keys add column destroy_confirmed_by ${text}`,
    `alter table kms_keys add column destroy_rule ${text}`,
    `alter table kms_keys add column destroy_requested_at ${integer}`,
    `alter table kms_keys add column destroy_days ${integer}`,
    `create index kms_keys_requested on kms_keys (destroy_requested_at) where destroy_requested_at is not null`,
    `alter table kms_audit add column rule ${text}`,
  ],
  // Commits, which a start compares with the heads file; the time that services saw pass, without which no key is destroyed; and audit rows that
  // stand for many, or tell more than codes. Leases whose work is done otherwise from here on have other names, see `refuse`.
  ({ bytes, integer, text, tableEnd, refuse }) => [
    `alter table kms_keys add column destroy_witnessed ${integer}`,
    `alter table kms_keys add column destroy_wait ${integer}`,
    `create index kms_keys_wait on kms_keys ((destroy_witnessed + destroy_wait)) where state = 'DESTROY_SCHEDULED'`,
    ...refuse("kms_keys_earlier", {
      before: "update on kms_keys",
      when: "new.state = 'DESTROYED' and old.state <> 'DESTROYED' and new.destroy_witnessed is null",
    }),
    "delete from kms_leases where name in ('rotation', 'maintenance')",
    ...refuse("kms_leases_earlier", {
      before: "insert on kms_leases",
      when: "new.name in ('rotation', 'maintenance')",
    }),
    `alter table kms_audit add column distinct_names ${integer}`,
    `alter table kms_audit add column first_at ${integer}`,
    `alter table kms_audit add column detail ${text}`,
    `create table kms_commits (
      id ${integer} primary key check (id = 1), commits ${integer} not null, log_heads ${bytes} not null,
      audit_heads ${bytes} not null, heads_since ${integer}, mac ${bytes} not null
    )${tableEnd}`,
    `create table kms_time (
      id ${integer} primary key check (id = 1), witnessed ${integer} not null, wall_at ${integer} not null,
      second_at ${integer}, mac ${bytes} not null
    )${tableEnd}`,
  ],
  // Which releases run: `kms_schema` has a second column with it, see store/sql/upgrade/migration.ts.
  ({ bytes, integer, text, tableEnd }) => [
    `create table kms_replicas (
      replica_id ${text} primary key, release ${text} not null, version ${integer} not null, seen_at ${integer} not null,
      ended_at ${integer}, mac ${bytes} not null
    )${tableEnd}`,
  ],
];

/**
 * Columns that tables got after their rows had HMACs. Under a row's HMAC are its other columns by their places, and behind them the name and
 * the value of each of these that is not null: a row that has none of them is as it was before there were any.
 */
export const laterColumns = {
  kms_keys: [
    "destroy_by",
    "destroy_confirmed_by",
    "destroy_rule",
    "destroy_requested_at",
    "destroy_days",
    "destroy_witnessed",
    "destroy_wait",
  ],
  kms_audit: ["rule", "distinct_names", "first_at", "detail"],
} as const;

/** Every table of authenticated rows with its columns, but the audit rows' `id`, which only orders them in one database. */
export const tables = {
  kms_store: ["id", "store_id", "provider", "provider_key_id", "wrapped", "created_at", "writers", "mac"],
  kms_keys: [
    "key_id",
    "tenant_id",
    "purpose",
    "version",
    "state",
    "provider",
    "provider_key_id",
    "wrapped",
    "public_key",
    "created_at",
    "activated_at",
    "retired_at",
    "compromised_at",
    "destroy_at",
    "previous_state",
    ...laterColumns.kms_keys,
    "mac",
  ],
  kms_requests: ["tenant_id", "request_id", "key_id", "digest", "retired_key_id", "at", "mac"],
  kms_leases: ["name", "holder", "generation", "expires_at", "finished_at", "mac"],
  kms_replicas: ["replica_id", "release", "version", "seen_at", "ended_at", "mac"],
  kms_audit_writers: ["writer_id", "sequence", "head", "mac"],
  kms_audit: [
    "writer_id",
    "sequence",
    "at",
    "actor",
    "action",
    "tenant_id",
    "purpose",
    "key_id",
    "outcome",
    "request_id",
    "count",
    ...laterColumns.kms_audit,
    "mac",
  ],
  kms_commits: ["id", "commits", "log_heads", "audit_heads", "heads_since", "mac"],
  kms_time: ["id", "witnessed", "wall_at", "second_at", "mac"],
  kms_logs: ["tenant_id", "number", "origin", "size", "root", "frontier", "state", "created_at", "changed_at", "mac"],
  kms_log_requests: ["tenant_id", "number", "request_id", "digest", "first_index", "count", "signed_at", "mac"],
  kms_log_handovers: ["tenant_id", "number", "entry_index", "from_key_id", "to_key_id", "entry", "proof", "mac"],
  kms_log_compromises: ["tenant_id", "key_id", "number", "origin", "size", "root", "mac"],
} as const;

export type TableName = keyof typeof tables;

/** The tables of pieces, without HMACs: the root in a log's head authenticates them. */
export const chunkTables = {
  kms_log_entries: ["tenant_id", "number", "start", "data"],
  kms_log_hashes: ["tenant_id", "number", "level", "start", "data"],
} as const;

export type ChunkTableName = keyof typeof chunkTables;

export const allTables = { ...tables, ...chunkTables } as const;

export type AnyTableName = keyof typeof allTables;

/** The version of the schema that this release brings a store to. */
export const newestSchema = migrations.length;

/**
 * The version of the release before, which reads what this one writes, and whose rows this one reads. A store must have been finished up to it:
 * see store/sql/upgrade/migration.ts.
 */
export const oldestSchema = 8;

/** The version from which on commits are counted, and audit rows accept heads files. */
export const countingSchema = 7;

/** Releases of earlier versions are stopped, upgraded and started. */
export const firstRollingSchema = 8;
