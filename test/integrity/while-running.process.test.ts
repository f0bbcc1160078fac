/** Rows that are damaged while a service runs, which has read them before: the next pass finds them, and they are refused from then on. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status as grpcStatus } from "@grpc/grpc-js";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { Health, type IntegrityFinding } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { eventually } from "../support/eventually.ts";
import { fromNow } from "../support/from-now.ts";
import { patience } from "../support/patience.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { type ServiceProcess, startProcess } from "../support/service-process.ts";
import { batchOf, spansFrom } from "../support/span-batches.ts";
import { type Backdoor, postgresBackdoor, sqliteBackdoor } from "../support/store-fixture.ts";
import { encodeBatch, openStream } from "../support/stream-client.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

interface World {
  door: Backdoor;
  env: Record<string, string>;
  /** Gives a service that makes a pass after what was done to the store while the first one ran. */
  next(first: ServiceProcess): Promise<ServiceProcess>;
}

function keyFile(): string {
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-integrity-")), "master.key");
  writeFileSync(file, randomBytes(32), { mode: 0o600 });
  return file;
}

const kinds: [name: string, make: () => Promise<World>][] = [
  [
    "sqlite, whose week is over",
    async () => {
      const door = sqliteBackdoor();
      return { door, env: { FLUO_KMS_STORE: "sqlite", FLUO_KMS_SQLITE_FILE: door.file }, next: async (first) => first };
    },
  ],
  [
    "postgres, beside which another starts",
    async () => {
      const door = await postgresBackdoor(server);
      const env = { FLUO_KMS_STORE: "postgres", FLUO_KMS_POSTGRES_URL: door.url };
      return { door, env, next: () => started() };
    },
  ],
];

let world: World;
let env: Record<string, string>;

function started(): Promise<ServiceProcess> {
  return startProcess(env, { preload: [join(import.meta.dirname, "short-weeks.ts")] });
}

async function encrypt({ client }: ServiceProcess, tenantId: string): Promise<string> {
  return (await client.encryptPii({ tenantId, fields: [{ name: "email", value: Buffer.from("a@example.com") }] }))
    .keyId;
}

async function append({ grpc }: ServiceProcess, tenantId: string): Promise<void> {
  const stream = openStream(grpc, { deadline: fromNow(patience(5_000)) });
  try {
    await stream.send(encodeBatch(batchOf(spansFrom(0, 5), { tenantId, requestId: "", mode: SignMode.LOG })));
    stream.halfClose();
    await stream.rest();
  } finally {
    stream.close();
  }
}

/** What was found, as soon as this is among it. */
async function foundBy({ client }: ServiceProcess, about: object): Promise<IntegrityFinding[]> {
  const look = async () => {
    const { findings } = (await client.status({})).integrity!;
    expect(findings).toContainEqual(expect.objectContaining(about));
    return findings;
  };
  return eventually(look);
}

const dataLoss = { code: grpcStatus.DATA_LOSS };

describe.each(kinds)("a service on %s", (_name, make) => {
  let first: ServiceProcess;
  let keyId: string;
  beforeEach(async () => {
    world = await make();
    env = { ...world.env, FLUO_KMS_LOCAL_MASTER_KEY_FILE: keyFile() };
    first = await started();
    keyId = await encrypt(first, "acme");
    for (const tenantId of ["acme", "other"]) await append(first, tenantId);
    await encrypt(first, "other");
    await first.said(/the store was examined to its end/);
    expect((await first.client.status({})).status).toBe(Health.OPERATIONAL);
  });

  it.each([
    ["is altered", "update kms_keys set retired_at = 7 where key_id = 'KEY'", "record_altered"],
    ["is deleted", "delete from kms_keys where key_id = 'KEY'", "record_missing"],
  ])("refuses a key whose record %s, and no other", async (_what, sql, kind) => {
    await world.door.sql(sql.replace("KEY", keyId));
    const service = await world.next(first);
    await foundBy(service, { kind, tenantId: "acme", keyId });
    await expect(encrypt(service, "acme")).rejects.toMatchObject(dataLoss);
    await expect(encrypt(service, "other")).resolves.toMatch(/^[0-9a-f]{32}$/);
    const { status, notices } = await service.client.status({});
    expect([status, notices.join()]).toEqual([Health.DEGRADED, expect.stringContaining(keyId)]);
    expect((await fetch(`${service.http}/q/health/ready`)).status).toBe(200);
  });

  it("refuses a key that is put back as it was, and no other", async () => {
    const [row = {}] = await world.door.sql("select * from kms_keys where key_id = ?1", keyId);
    await first.client.admin.disableKey({ tenantId: "acme", keyId });
    const columns = Object.keys(row).filter((column) => column !== "key_id");
    const set = columns.map((column, index) => `${column} = ?${index + 2}`).join(", ");
    const values = columns.map((each) => row[each]!);
    await world.door.sql(`update kms_keys set ${set} where key_id = ?1`, keyId, ...values);
    const service = await world.next(first);
    expect(await foundBy(service, { kind: "state", tenantId: "acme", keyId })).toHaveLength(1);
    await expect(encrypt(service, "acme")).rejects.toMatchObject(dataLoss);
    await expect(encrypt(service, "other")).resolves.toMatch(/^[0-9a-f]{32}$/);
  });

  it("refuses a log of which entries are gone, and no other", async () => {
    await world.door.sql("delete from kms_log_entries where tenant_id = 'acme'");
    const service = await world.next(first);
    const findings = await foundBy(service, { kind: "log_content", tenantId: "acme" });
    expect(findings).toHaveLength(1);
    await expect(append(service, "acme")).rejects.toMatchObject(dataLoss);
    await append(service, "other");
    await encrypt(service, "acme");
    const { keys } = await service.client.getPublicKeys({ tenantId: "acme" }); // what else they sign for is verified
    expect(keys).toHaveLength(1);
  });

  it.each([
    ["a row of the trail is gone", "delete from kms_audit where action = 'encrypt_pii' and tenant_id = 'acme'"],
    ["a row of the trail is altered", "update kms_audit set count = 9 where action = 'create' and tenant_id = 'acme'"],
    ["the store key is altered", "update kms_store set writers = writers + 1"],
    ["the head of a writer is altered", "update kms_audit_writers set sequence = sequence + 1"],
  ])("is not ready when %s", async (_what, sql) => {
    await world.door.sql(sql);
    // It may meet the damage by itself, before a pass does.
    const service = await world.next(first).catch((error) => error as Error);
    if (service instanceof Error) return expect(service.message).toMatch(/not as it was written|altered|DATA_LOSS/);
    const isDown = async () => expect((await fetch(`${service.http}/q/health/ready`)).status).toBe(503);
    await eventually(isDown);
    expect((await service.client.status({})).status).toBe(Health.DOWN);
  });
});
