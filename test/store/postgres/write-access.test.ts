/** What a start demands of a PostgreSQL server: the rights of its user, and a transaction that writes and commits. */
import { createSecretKey, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { openPostgres } from "../../../src/store/postgres/open.ts";
import { neededRights } from "../../../src/store/postgres/write-access.ts";
import { allTables, newestSchema } from "../../../src/store/sql/rows/schema.ts";
import type { MigrateMode } from "../../../src/store/sql/upgrade/migration.ts";
import { inStore, postgresPlace, sql as sqlIn } from "../../support/cli-store-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { createRole } from "../../support/postgres-role.ts";
import { startService } from "../../support/running-service.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { addKey, type Backdoor, postgresBackdoor, unlocked } from "../../support/store-fixture.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const upgrade = readFileSync(join(import.meta.dirname, "..", "..", "..", "docs", "UPGRADE.md"), "utf8");
const documented = upgrade.match(/^(?:grant|alter default privileges) .*;$/gm)!;
const documentedFor = (role: string) => documented.map((statement) => statement.replace(/\bkms_service\b/, role));

const key = createSecretKey(randomBytes(32));
const door = await postgresBackdoor(server);
const used = await unlocked(await door.open(), key);
await addKey(used);
await used.close();

const open = (url: string, migrate?: MigrateMode) =>
  openPostgres({ name: "postgres", url, maxConnections: 1, migrate }, realTime);

/** The error of a start of either mode, which leaves every row as it was. */
async function refusal(url: string, { sql }: Pick<Backdoor, "sql"> = door): Promise<KmsError> {
  const before = await contentOf(sql);
  const errors = [await thrownBy(() => open(url, "auto")), await thrownBy(() => open(url, "never"))] as KmsError[];
  expect(await contentOf(sql)).toEqual(before);
  for (const error of errors) expect(error).toBeKmsError("STORE_UNAVAILABLE");
  expect(errors[0]!.message).toBe(errors[1]!.message);
  return errors[0]!;
}

async function contentOf(sql: Backdoor["sql"]) {
  const names = ["kms_schema", ...Object.keys(allTables)];
  return Promise.all(names.map(async (name) => [name, await sql(`select * from ${name} order by 1, 2`)]));
}

describe("a start on PostgreSQL", () => {
  const rights = Object.entries(neededRights).flatMap(([table, each]) => each.map((right) => [right, table] as const));

  it.each(rights)("refuses a user who may not %s on %s, until the GRANT of its advice", async (right, table) => {
    const role = await createRole(door.url, (name) => [
      ...documentedFor(name),
      `revoke ${right} on ${table} from ${name}`,
    ]);
    const { message, advice } = await refusal(role.url);
    const grant = `grant ${right} on ${table} to ${role.name}`;
    expect(message).toBe(`the PostgreSQL user ${role.name} lacks rights on ${table}`);
    expect(advice).toBe(`let the owner of the tables run: ${grant}`);
    await door.sql(grant);
    await (await open(role.url)).close();
  });

  it("names all tables, by one GRANT for those that lack the same rights", async () => {
    const role = await createRole(door.url, (name) => [
      `grant select on all tables in schema public to ${name}`,
      `revoke select on kms_keys, kms_schema from ${name}`,
    ]);
    const { message, advice } = await refusal(role.url);
    const tables = Object.keys(neededRights).filter((name) => name !== "kms_commits");
    expect(message).toBe(`the PostgreSQL user ${role.name} lacks rights on ${tables.join(", ")}`);
    const grants = advice!.replace("let the owner of the tables run: ", "").split("; ");
    expect(grants).toEqual([
      `grant select on kms_schema to ${role.name}`,
      `grant insert, update on kms_store, kms_leases, kms_audit_writers, kms_time, kms_logs to ${role.name}`,
      `grant select, insert, update, delete on kms_keys to ${role.name}`,
      `grant insert, delete on kms_requests, kms_log_requests to ${role.name}`,
      `grant insert, update, delete on kms_replicas to ${role.name}`,
      `grant insert on kms_audit, kms_log_handovers, kms_log_compromises, kms_log_entries, kms_log_hashes to ${role.name}`,
    ]);
    for (const grant of grants) await door.sql(grant);
    await (await open(role.url)).close();
  });

  it.each(["auto", "never"] as const)("serves a user with the rights of docs/UPGRADE.md, in mode %s", async (mode) => {
    expect(documented.length).toBeGreaterThan(2);
    const role = await createRole(door.url, documentedFor);
    const store = await (await open(role.url, mode)).unlock(key);
    await addKey(store, { tenantId: role.name });
    expect(await store.active(role.name, "data")).toMatchObject({ version: 1 });
    await store.close();
  });

  it("demands all that replicas and operators need for their notes", async () => {
    const role = await createRole(door.url, (name) =>
      Object.entries(neededRights).map(([table, each]) => `grant ${each.join(", ")} on ${table} to ${name}`),
    );
    const store = await (await open(role.url)).unlock(key);
    const replica = { replicaId: role.name, release: "0.0.0", version: newestSchema };
    await store.noteReplica(replica);
    await store.noteReplica(replica);
    await store.endReplica(role.name);
    expect((await store.upgradeState()).replicas).toEqual([]);
    expect(await store.rewriteRows(undefined)).toMatchObject({ rewritten: 0 });
    await store.close();
  });

  it("leaves the store as it was when it succeeds", async () => {
    const before = await contentOf(door.sql);
    await (await open(door.url)).close();
    expect(await contentOf(door.sql)).toEqual(before);
  });

  it("needs no session that writes by default: each transaction says itself that it does", async () => {
    const role = await createRole(door.url, (name) => [
      ...documentedFor(name),
      `alter role ${name} set default_transaction_read_only = on`,
    ]);
    const store = await (await open(role.url)).unlock(key);
    await addKey(store, { tenantId: role.name });
    await store.close();
  });

  it("refuses a user who may not use the schema", async () => {
    const { url } = await createRole(door.url, documentedFor);
    const own = await postgresBackdoor(server);
    await own.sql("revoke usage on schema public from public");
    const there = Object.assign(new URL(url), { pathname: new URL(own.url).pathname }).href;
    const error = (await thrownBy(() => open(there))) as KmsError;
    expect(error).toBeKmsError("STORE_UNAVAILABLE", "(3F000, there is no schema that the user may use)");
    expect(error.advice).toContain("grant usage on schema public");
  });

  it.each([
    ["an insert", "before insert", "trigger"],
    ["the commit after it", "after insert", "constraint trigger"],
  ])("refuses a server that fails %s, as with a full disk", async (_what, when, kind) => {
    const own = await postgresBackdoor(server);
    await own.sql(
      "create function fail() returns trigger language plpgsql as $$ begin raise exception using errcode = '53100'; end $$",
    );
    const late = kind === "trigger" ? "" : "deferrable initially deferred";
    await own.sql(`create ${kind} fails ${when} on kms_replicas ${late} for each row execute function fail()`);
    expect((await refusal(own.url, own)).message).toBe(
      "the PostgreSQL store failed (53100, the server's disk is full)",
    );
  });
});

describe("a service on PostgreSQL", () => {
  it("does not start for a user who may not insert, and starts for one who may", async () => {
    const where = await postgresPlace(server);
    if (where.settings.name !== "postgres") throw new Error("no PostgreSQL");
    const { url } = where.settings;
    const properties = {
      "fluo.kms.local.master-key-file": where.masterKeyFile,
      "fluo.kms.store": "postgres",
      "fluo.kms.postgres.url": url,
    };
    await (await startService(properties)).stop();
    const role = await createRole(url, (name) => [...documentedFor(name), `revoke insert on kms_audit from ${name}`]);
    const before = await contentOf((text) => sqlIn(where, text));
    const asRole = { ...properties, "fluo.kms.postgres.url": role.url };
    expect(await thrownBy(() => startService(asRole))).toBeKmsError("STORE_UNAVAILABLE", "lacks rights on kms_audit");
    expect(await contentOf((text) => sqlIn(where, text))).toEqual(before);
    await sqlIn(where, `grant insert on kms_audit to ${role.name}`);
    const service = await startService(asRole);
    expect((await service.grpc.generateDataKey({ tenantId: "acme" })).keyId).not.toBe("");
    await service.stop();
  });

  it("is examined and backed up by a user who may only read", async () => {
    const where = await postgresPlace(server);
    if (where.settings.name !== "postgres") throw new Error("no PostgreSQL");
    await inStore(where, async ({ keyring }) => keyring.activeDataKey("acme"));
    const { url } = await createRole(where.settings.url, (name) => [
      `grant select on all tables in schema public to ${name}`,
    ]);
    const reader = where.with({ ...where.settings, url });
    expect(await reader.json("check")).toMatchObject({ code: 0, answer: { ok: true, problems: [] } });
    expect(await reader.run("backup", "kept.db")).toMatchObject({ code: 0, err: "" });
  });
});
