/** Rows that are damaged while a service runs, which has read them before: the next pass finds them, and they are refused from then on. */
import { join } from "node:path";
import { status as grpcStatus } from "@grpc/grpc-js";
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { Health, type IntegrityFinding } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { SignMode } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { fromNow } from "../support/from-now.ts";
import { hungMs } from "../support/hung.ts";
import { directory } from "../support/config-fixture.ts";
import { sharedPostgres } from "../support/shared-postgres.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { batchOf, spansFrom } from "../support/span-batches.ts";
import { type Backdoor, postgresBackdoor, sqliteBackdoor } from "../support/store-fixture.ts";
import { encodeBatch, openStream } from "../support/stream-client.ts";
import { inPostgresToo, type VirtualTime, virtualTime } from "../support/virtual-time.ts";

const weekMs = 7 * 86_400_000;
/** A pass takes less, with second looks. */
const passMs = 5_000;
const server = await sharedPostgres();
afterAll(() => server.close());

interface World {
  door: Backdoor;
  env: Record<string, string>;
  /** Waits from a pass of the first service until little time is left before the next one. */
  wait(): Promise<void>;
  /** Gives a service that has made a pass after what was done to the store while the first one ran. */
  next(first: RunningService): Promise<RunningService>;
}

const kinds: [name: string, make: () => Promise<World>][] = [
  [
    "sqlite, whose week is over",
    async () => {
      const door = sqliteBackdoor();
      const env = { "fluo.kms.store": "sqlite", "fluo.kms.sqlite.file": door.file };
      const next = async (first: RunningService) => {
        await time.advance(3 * passMs);
        return first;
      };
      return { door, env, wait: () => time.skip(weekMs - 2 * passMs), next };
    },
  ],
  [
    "postgres, beside which another starts",
    async () => {
      const door = await postgresBackdoor(server);
      const env = { "fluo.kms.store": "postgres", "fluo.kms.postgres.url": door.url };
      const next = async () => {
        const other = await started();
        await time.advance(passMs);
        return other;
      };
      return { door, env, wait: async () => {}, next };
    },
  ],
];

let world: World;
let env: Record<string, string>;
let time: VirtualTime;

async function started(): Promise<RunningService> {
  const service = await startService(env, { time });
  onTestFinished(service.stop);
  return service;
}

async function encrypt({ grpc }: RunningService, tenantId: string): Promise<string> {
  return (await grpc.encryptPii({ tenantId, fields: [{ name: "email", value: Buffer.from("a@example.com") }] })).keyId;
}

async function append({ grpcPort }: RunningService, tenantId: string): Promise<void> {
  const stream = openStream(`127.0.0.1:${grpcPort}`, { deadline: fromNow(hungMs) });
  try {
    await stream.send(encodeBatch(batchOf(spansFrom(0, 5), { tenantId, requestId: "", mode: SignMode.LOG })));
    stream.halfClose();
    await stream.rest();
  } finally {
    stream.close();
  }
}

async function findingsOf({ grpc }: RunningService): Promise<IntegrityFinding[]> {
  return (await grpc.status({})).integrity!.findings;
}

const dataLoss = { code: grpcStatus.DATA_LOSS };

describe.each(kinds)("a service on %s", (_name, make) => {
  let first: RunningService;
  /** By tenant. */
  let keyIds: Map<string, string>;
  beforeEach(async () => {
    time = virtualTime();
    inPostgresToo(time);
    world = await make();
    env = { ...world.env, "fluo.kms.local.master-key-file": join(directory(), "master.key") };
    first = await started();
    keyIds = new Map();
  });

  /** Has these use the first service, before a pass that finds nothing and after it. */
  async function live(tenants: readonly string[]): Promise<void> {
    for (const tenantId of tenants) {
      keyIds.set(tenantId, await encrypt(first, tenantId));
      await append(first, tenantId);
    }
    await time.advance(passMs);
    expect(await first.grpc.status({})).toMatchObject({ integrity: { percent: 100 }, status: Health.OPERATIONAL });
    await world.wait();
    for (const tenantId of tenants) await encrypt(first, tenantId);
  }

  async function putBack(tenantId: string): Promise<void> {
    const keyId = keyIds.get(tenantId)!;
    const [row = {}] = await world.door.sql("select * from kms_keys where key_id = ?1", keyId);
    await first.grpc.admin.disableKey({ tenantId, keyId });
    const columns = Object.keys(row).filter((column) => column !== "key_id");
    const set = columns.map((column, index) => `${column} = ?${index + 2}`).join(", ");
    await world.door.sql(`update kms_keys set ${set} where key_id = ?1`, keyId, ...columns.map((each) => row[each]!));
  }

  it("refuses keys whose record is altered, deleted or put back, and a log of which entries are gone, and no other", async () => {
    await live(["altered", "deleted", "put-back", "shortened", "other"]);
    await world.door.sql("update kms_keys set retired_at = 7 where key_id = ?1", keyIds.get("altered")!);
    await world.door.sql("delete from kms_keys where key_id = ?1", keyIds.get("deleted")!);
    await putBack("put-back");
    await world.door.sql("delete from kms_log_entries where tenant_id = 'shortened'");
    const service = await world.next(first);
    const findings = await findingsOf(service);
    for (const [kind, tenantId] of [
      ["record_altered", "altered"],
      ["record_missing", "deleted"],
      ["state", "put-back"],
    ] as const) {
      const keyId = keyIds.get(tenantId)!;
      expect(findings).toContainEqual(expect.objectContaining({ kind, tenantId, keyId }));
      await expect(encrypt(service, tenantId)).rejects.toMatchObject(dataLoss);
      const { status, notices } = await service.grpc.status({});
      expect([status, notices.join()]).toEqual([Health.DEGRADED, expect.stringContaining(keyId)]);
    }
    expect(findings).toContainEqual(expect.objectContaining({ kind: "log_content", tenantId: "shortened" }));
    for (const tenantId of ["put-back", "shortened"]) {
      expect(findings.filter((finding) => finding.tenantId === tenantId)).toHaveLength(1);
    }
    await expect(append(service, "shortened")).rejects.toMatchObject(dataLoss);
    await encrypt(service, "shortened");
    const { keys } = await service.grpc.getPublicKeys({ tenantId: "shortened" }); // what else they sign for is verified
    expect(keys).toHaveLength(1);
    await append(service, "other");
    await expect(encrypt(service, "other")).resolves.toMatch(/^[0-9a-f]{32}$/);
    expect((await fetch(`${service.url}/q/health/ready`)).status).toBe(200);
  });

  it.each([
    ["a row of the trail is gone", "delete from kms_audit where action = 'encrypt_pii' and tenant_id = 'other'"],
    ["a row of the trail is altered", "update kms_audit set count = 9 where action = 'create' and tenant_id = 'other'"],
    ["the store key is altered", "update kms_store set writers = writers + 1"],
    ["the head of a writer is altered", "update kms_audit_writers set sequence = sequence + 1"],
  ])("is not ready when %s", async (_what, sql) => {
    await live(["other"]);
    await world.door.sql(sql);
    // It may meet the damage by itself, before a pass does.
    const service = await world.next(first).catch((error) => error as Error);
    if (service instanceof Error) return expect(service.message).toMatch(/not as it was written|altered|DATA_LOSS/);
    expect((await fetch(`${service.url}/q/health/ready`)).status).toBe(503);
    expect((await service.grpc.status({})).status).toBe(Health.DOWN);
  });
});
